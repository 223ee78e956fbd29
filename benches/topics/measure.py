"""Precision at 10 of documents: `imgsearch topics` beside LSA and the cosine of TF-IDF. `run.sh` calls it.

One package of each source counts, because packages of a source share their descriptions, and only sections that are
about a topic count (`libs` and `doc` are not). A tenth of the documents asks, and the others are found. No method sees
a label or a question while it learns.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

SECTIONS = set(
    "admin comm database editors education electronics fonts games gnome gnu-r graphics hamradio haskell httpd"
    " interpreters java javascript kde lisp mail math net news ocaml otherosfs perl php python ruby science shells sound"
    " tex text utils vcs video web x11".split()
)
WORDS = 20
K = 10
SEED = 0


def stanzas(path):
    with open(path, encoding="utf-8") as lines:
        fields, last = {}, None
        for line in lines:
            if line == "\n":
                if fields:
                    yield fields
                fields, last = {}, None
            elif line[0] == " " and last:
                fields[last] += "\n" + line.strip()
            elif ":" in line:
                last, value = line.split(":", 1)
                fields[last] = value.strip()
        if fields:
            yield fields


def documents(work):
    long = {}
    for fields in stanzas(work / "descriptions.txt"):
        text = next((fields[key] for key in fields if key.startswith("Description-en")), None)
        if text:
            long[fields["Description-md5"]] = text
    chosen = {}
    for fields in stanzas(work / "packages.txt"):
        name, section = fields["Package"], fields.get("Section", "")
        source = fields.get("Source", name).split(" ")[0]
        text = long.get(fields.get("Description-md5"), "")
        if section in SECTIONS and len(re.findall(r"\w+", text)) >= WORDS:
            best = chosen.get(source)
            if best is None or (len(name), name) < (len(best[0]), best[0]):
                chosen[source] = (name, section, text)
    # Some sources have the same description for every version.
    seen, unique = set(), []
    for _, document in sorted(chosen.items()):
        if document[2] not in seen:
            seen.add(document[2])
            unique.append(document)
    random.Random(SEED).shuffle(unique)
    return unique


def precision(found, labels, wanted):
    return np.mean([np.mean(labels[row] == want) for row, want in zip(found, wanted)])


def nearest(queries, rows):
    similarity = np.asarray((queries @ rows.T).todense()) if hasattr(queries, "todense") else queries @ rows.T
    return np.argsort(-similarity, axis=1, kind="stable")[:, :K]


def main():
    work, program = Path(sys.argv[1]), sys.argv[2]
    everything = documents(work)
    cut = len(everything) // 10
    asking, stored = everything[:cut], everything[cut:]
    folders = {"asking": asking, "stored": stored}
    for folder, part in folders.items():
        shutil.rmtree(work / folder, ignore_errors=True)
        for name, section, text in part:
            path = work / folder / section / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    labels = np.array([section for _, section, _ in stored])
    wanted = [section for _, section, _ in asking]
    texts = [[text for *_, text in part] for part in (stored, asking)]
    print(f"{len(stored)} documents, {len(asking)} questions, {len(set(labels))} sections", flush=True)

    shares = np.array([np.mean(labels == want) for want in wanted])
    print(f"{'by chance':34} {shares.mean():.4f}")
    for words, name in [(2000, "2,000 words"), (None, "all words")]:
        counter = TfidfVectorizer(stop_words="english", max_features=words, sublinear_tf=True)
        rows = counter.fit_transform(texts[0])
        asked = counter.transform(texts[1])
        found = precision(nearest(asked, rows), labels, wanted)
        print(f"{'TF-IDF cosine, ' + name:34} {found:.4f}", flush=True)
        svd = TruncatedSVD(30, random_state=SEED)
        low = normalize(svd.fit_transform(rows))
        found = precision(nearest(normalize(svd.transform(asked)), low), labels, wanted)
        print(f"{'LSA of 30 numbers, ' + name:34} {found:.4f}", flush=True)

    index = work / "index"
    shutil.rmtree(index, ignore_errors=True)
    options = ["--index", str(index), "--no-config", *os.environ.get("TOPICS_OPTIONS", "").split()]
    subprocess.run([program, "topics", str(work / "stored"), *options], check=True, stdout=subprocess.DEVNULL)
    questions = []
    for name, section, _ in asking:
        questions += ["--query", str(work / "asking" / section / f"{name}.txt")]
    for by in ["code", "hash", "both"]:
        command = [program, "topics", *questions, "-k", str(K), "--by", by, "--json", *options]
        lines = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        found = {}
        for line in map(json.loads, lines):
            sections = [Path(one["path"]).parent.name for one in line["results"]]
            found[line["query"]] = np.mean([section == Path(line["query"]).parent.name for section in sections])
        # A question without a known word finds nothing.
        value = sum(found.values()) / len(asking)
        name = {"code": "code of 30 numbers", "hash": "hash of 128 bits", "both": "code and hash"}[by]
        print(f"{'imgsearch topics, ' + name:34} {value:.4f}", flush=True)


main()
