"""Two steps of script/docs:

    site.py gather FOLDER    puts the pages that docs/SUMMARY.md lists, and the pictures that they show, into FOLDER as
                             mdBook wants them, each at its place in the repository, so that links between them hold
    site.py check FOLDER     checks the links of a built site
"""

import html.parser
import json
import os
import pathlib
import re
import shutil
import sys
import urllib.parse

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
# What is only in the repository, not on the site, is named but not linked.
OUTSIDE = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def of_notebook(text: str) -> str:
    """A notebook as a page."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        parts.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
    return "\n\n".join(parts) + "\n"


def gather(folder: pathlib.Path) -> None:
    summary = (REPOSITORY / "docs/SUMMARY.md").read_text(encoding="utf-8")
    listed = [match[1] for match in LINK.findall(summary)]
    pages = [pathlib.PurePosixPath(os.path.normpath(f"docs/{link}")) for link in listed]
    first = pages[0]
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "docs/book.toml", folder)

    def placed(page: pathlib.PurePosixPath) -> pathlib.PurePosixPath:
        """Where a page is on the site: the first one is shown at its root, too, so its links start from there."""
        return pathlib.PurePosixPath(page.name) if page == first else page.with_suffix(".md")

    def here(match: re.Match) -> str:
        target = pathlib.PurePosixPath(os.path.normpath(f"docs/{match[2]}"))
        return f"{match[1]}{placed(target)}{match[3]}"

    (folder / "SUMMARY.md").write_text(LINK.sub(here, summary), encoding="utf-8")
    for page in sorted(pages):
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        if page.suffix == ".ipynb":
            text = of_notebook(text)

        def kept(match: re.Match) -> str:
            target = match[2].split("#")[0]
            if "://" in target or not target:
                return match[0]
            place = pathlib.PurePosixPath(os.path.normpath(page.parent / target))
            if place in pages:
                path = os.path.relpath(placed(place), placed(page).parent)
                return f"[{match[1]}]({path}{match[2][len(target) :]})"
            if not (REPOSITORY / place).exists():
                sys.exit(f"{page}: there is no {place}")
            if place.suffix in (".jpg", ".png"):
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / place, folder / place)
                return match[0]
            return f"{match[1]} (`{place}` in the repository)"

        copy = folder / placed(page)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(OUTSIDE.sub(kept, text), encoding="utf-8")


class Page(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        self.links += [values[name] for name in ("href", "src") if values.get(name)]


def check(folder: pathlib.Path) -> None:
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    wrong, count = set(), 0
    for path, page in pages.items():
        # mdBook writes these two for itself; the links of the first are relative to wherever it is shown.
        if path.name in ("404.html", "toc.html"):
            continue
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            count += 1
            file = path if not parts.path else (path.parent / urllib.parse.unquote(parts.path))
            file = pathlib.Path(os.path.normpath(file))
            anchors = pages[file].anchors if file in pages else set()
            fragment = urllib.parse.unquote(parts.fragment)
            if not file.is_file():
                wrong.add(f"{path.relative_to(folder)}: {link} leads nowhere")
            elif file in pages and fragment and fragment not in anchors:
                wrong.add(f"{path.relative_to(folder)}: {link} names no part of that page")
    if wrong or count < 100:
        sys.exit("\n".join(sorted(wrong)) or f"only {count} links were found")
    print(f"{len(pages)} pages, {count} links", file=sys.stderr)


if __name__ == "__main__":
    {"gather": gather, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
