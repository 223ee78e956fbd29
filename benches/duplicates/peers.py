#!/usr/bin/env python3
"""Hashes of imagededup and czkawka on the pairs that `imgsearch eval --duplicates` looks for.

    imgsearch eval --duplicates OBJECTS --keep-files WORK
    python3 benches/duplicates/peers.py WORK/files.jsonl

Needs, from PyPI: `pip install --no-deps imagededup czkawka` and `pip install numpy pillow scipy PyWavelets tqdm
scikit-learn matplotlib`. The dependencies of imagededup are left out because its hashes need no PyTorch.

Every pair of files counts: right if both come from one picture, wrong otherwise, and not at all if their pictures were
in one group before anything was edited. The recall is the share of copies within the threshold of their picture, as
`eval` counts it. Each hash is judged at the threshold that its project recommends, and at the one that finds most with a
precision of 99.9 %.
"""

import base64
import json
import sys
import types
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

PRECISION = 0.999
# `max_distance_threshold` of imagededup.
IMAGEDEDUP = 10
# Presets of czkawka for hashes of 64 and 256 bits: very high, high, medium and small similarity.
CZKAWKA = {64: (1, 2, 5, 7), 256: (2, 5, 15, 30)}
CHUNK = 64


def of_imagededup():
    """Returns the hashers of imagededup. Its networks, which need PyTorch, are replaced by nothing."""
    for module, name in (("methods.cnn", "CNN"), ("utils.models", "CustomModel")):
        empty = types.ModuleType(f"imagededup.{module}")
        setattr(empty, name, None)
        sys.modules[empty.__name__] = empty
    from imagededup.methods import hashing

    kinds = {"PHash": hashing.PHash, "DHash": hashing.DHash, "WHash": hashing.WHash, "AHash": hashing.AHash}

    def hasher(kind):
        encode = kind(verbose=False).encode_image

        def hashed(path):
            text = encode(image_file=str(path))
            return bytes.fromhex(text) if text else None

        return hashed

    return {f"imagededup {name}": hasher(kind) for name, kind in kinds.items()}


def of_czkawka():
    """Returns the hasher of czkawka."""
    import czkawka

    finder = czkawka.ImageSimilarity()

    def hashed(path):
        text = finder.hash_image(str(path))
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if set(text) & set("-_") else None)

    return {"czkawka": hashed}


def hashes(paths):
    """Returns the hashes of some files by name, as lists of bytes; `None` where there is none."""
    made = {}
    for name, hasher in {**of_imagededup(), **of_czkawka()}.items():
        made[name] = []
        for path in paths:
            try:
                made[name].append(hasher(path))
            except Exception as error:  # One file that a program cannot read is no end of the comparison.
                print(f"{name}: {path}: {error}", file=sys.stderr)
                made[name].append(None)
    return made


def counted(files, codes):
    """Returns the right and the wrong pairs at each distance, and the distance of each copy to its picture."""
    length = max(len(code) for code in codes if code)
    usable = [i for i, code in enumerate(codes) if code and len(code) == length]
    bits = np.array([np.frombuffer(codes[i], np.uint8) for i in usable])
    pictures = np.array([files[i]["picture"] for i in usable])
    alike = np.array([-1 if files[i]["alike"] is None else files[i]["alike"] for i in usable])
    right, wrong = np.zeros(8 * length + 1, np.int64), np.zeros(8 * length + 1, np.int64)
    for row in range(1, len(usable)):
        apart = np.bitwise_count(bits[:row] ^ bits[row]).sum(axis=1, dtype=np.int64)
        same = pictures[:row] == pictures[row]
        passed = ~same & (alike[:row] >= 0) & (alike[:row] == alike[row])
        right += np.bincount(apart[same], minlength=len(right))
        wrong += np.bincount(apart[~same & ~passed], minlength=len(wrong))
    original = {files[i]["picture"]: code for i, code in enumerate(codes) if files[i]["edit"] is None and code}
    to_picture = []
    for file, code in zip(files, codes):
        if file["edit"] is not None:
            own = original.get(file["picture"])
            known = code is not None and own is not None and len(code) == len(own)
            to_picture.append(sum((a ^ b).bit_count() for a, b in zip(code, own)) if known else len(right))
    return np.cumsum(right), np.cumsum(wrong), np.array(to_picture)


def report(name, files, codes):
    right, wrong, to_picture = counted(files, codes)
    bits = len(right) - 1
    precision = right / np.maximum(right + wrong, 1)
    recall = lambda threshold: (to_picture <= threshold).mean()
    line = lambda kind, t: print(
        f"| {name}, {bits} bits | {kind} | {t} | {100 * recall(t):.1f} % | {100 * precision[t]:.2f} % |"
    )
    recommended = CZKAWKA.get(bits, ()) if name == "czkawka" else (IMAGEDEDUP,)
    for threshold in recommended:
        line("recommended", threshold)
    good = [t for t in range(bits + 1) if right[t] and precision[t] >= PRECISION]
    if good:
        line("best", good[-1])
    else:
        print(f"| {name}, {bits} bits | best | none | 0.0 % | |")


def main():
    files = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    paths = [file["path"] for file in files]
    chunks = [paths[i : i + CHUNK] for i in range(0, len(paths), CHUNK)]
    codes = {}
    with ProcessPoolExecutor() as pool:
        for made in pool.map(hashes, chunks):
            for name, some in made.items():
                codes.setdefault(name, []).extend(some)
    print("| hash | threshold | bits | recall | precision |\n| --- | --- | --- | --- | --- |")
    for name, of in codes.items():
        report(name, files, of)


if __name__ == "__main__":
    main()
