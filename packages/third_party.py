"""Writes the licences of all crates that the program is linked from:

    third_party.py OUTPUT

Texts come from the sources that cargo has fetched. Crates without one are listed with their licence and authors.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys

# Text files by which crates give their licences.
NAMED = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)


def linked() -> list[dict]:
    """The crates of a build for this machine, without those that only take part in building."""
    command = ["cargo", "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    # A line is: NAME vVERSION, then (proc-macro) and a folder.
    names = {tuple(line.split()[:2]) for line in lines if line and "(proc-macro)" not in line}
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--locked", "--format-version", "1"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    packages = {(one["name"], f"v{one['version']}"): one for one in metadata["packages"]}
    # Those without a source are of this repository.
    return [packages[name] for name in sorted(names) if packages[name]["source"]]


def texts(package: dict) -> list[str]:
    folder = pathlib.Path(package["manifest_path"]).parent
    # One level below as well: there lie sources in C that a crate brings along, or a folder of licences.
    files = [path for path in sorted(folder.glob("*")) + sorted(folder.glob("*/*")) if path.is_file()]
    named = [path for path in files if NAMED.match(path.name) or NAMED.match(path.parent.name)]
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in named]


def main(output: str) -> None:
    holders = collections.defaultdict(list)
    without = []
    for package in linked():
        name = f"{package['name']} {package['version']}"
        found = texts(package)
        for text in found:
            holders[text].append(name)
        if not found:
            authors = ", ".join(package["authors"]) or "its authors"
            without.append(f"{name}: {package['license']}, by {authors}")
    assert holders and len(without) < len(holders), (len(holders), without)
    rule = "\n" + "-" * 78 + "\n"
    parts = ["imgsearch is linked from these crates, under the licences below.\n"]
    parts += [f"{', '.join(names)}:\n\n{text}\n" for text, names in holders.items()]
    parts.append("Without a text of their own:\n\n" + "\n".join(without) + "\n")
    pathlib.Path(output).write_text(rule.join(parts), encoding="utf-8")
    crates = len({name for names in holders.values() for name in names}) + len(without)
    print(f"{output}: {crates} crates, {len(holders)} texts, {len(without)} without one", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
