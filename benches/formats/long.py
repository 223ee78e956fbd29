#!/usr/bin/env python3
"""Measures how long pictures are best brought to an encoder's square.

    pip install pillow==13.0.0 numpy
    python benches/formats/long.py FOLDER [--imgsearch PROGRAM]

FOLDER holds a folder for each class of photographs, of which three each are taken (seeded). They become long pictures: a
strip cut out of the middle, or the photograph at a random place of a strip in its mean colour or in white. Each long
picture becomes a square in several ways, and its code is looked for among those of the photographs.

Prints, for each ratio, kind and way, how often the photograph itself is nearest, and the share of its class among the
seven nearest others. The ways are drawn here; `program` is what the program does with a long picture by itself.
"""

import argparse
import json
import math
import os
import random
import subprocess
import tempfile

import numpy as np
from PIL import Image

EACH = 3
RATIOS = (2.5, 4)
NEAREST = 7
# The encoder's square, and the short side that it is cut out of.
SQUARE, SHORT = 224, 256


def codes(program, paths):
    run = subprocess.run(
        [program, "encode", "--json", "--null", "--files-from", "-"],
        input="\0".join(paths).encode(),
        capture_output=True,
        check=True,
    )
    rows = [json.loads(line) for line in run.stdout.decode().splitlines()]
    return {row["path"]: row["code"] for row in rows}


def framed(square):
    """Returns a picture whose middle is a square."""
    picture = Image.new("RGB", (SHORT, SHORT))
    picture.paste(square, ((SHORT - SQUARE) // 2,) * 2)
    return picture


def mean(picture):
    return picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))


def whole(picture, colour):
    scale = SQUARE / max(picture.size)
    small = picture.resize([max(1, round(side * scale)) for side in picture.size])
    square = Image.new("RGB", (SQUARE, SQUARE), colour)
    square.paste(small, ((SQUARE - small.width) // 2, (SQUARE - small.height) // 2))
    return square


def folded(picture):
    width, height = picture.size
    count = max(2, round(math.sqrt(max(picture.size) / min(picture.size))))
    square = Image.new("RGB", (SQUARE, SQUARE))
    for i in range(count):
        edges = SQUARE * i // count, SQUARE * (i + 1) // count
        if width > height:
            piece = picture.crop((round(width * i / count), 0, round(width * (i + 1) / count), height))
            square.paste(piece.resize((SQUARE, edges[1] - edges[0])), (0, edges[0]))
        else:
            piece = picture.crop((0, round(height * i / count), width, round(height * (i + 1) / count)))
            square.paste(piece.resize((edges[1] - edges[0], SQUARE)), (edges[0], 0))
    return square


def squares(picture):
    width, height = picture.size
    side = min(picture.size)
    count = max(2, math.ceil(max(picture.size) / side))
    for i in range(count):
        place = round((max(picture.size) - side) * i / (count - 1))
        left, top = (place, 0) if width > height else (0, place)
        yield picture.crop((left, top, left + side, top + side)).resize((SQUARE, SQUARE))


def central(picture):
    width, height = picture.size
    side = min(picture.size)
    left, top = (width - side) // 2, (height - side) // 2
    # Of the square that the program scales to, it uses the middle.
    return picture.crop((left, top, left + side, top + side)).resize((SHORT, SHORT))


def ways(picture):
    yield "program", [picture]
    yield "crop", [central(picture)]
    yield "fold", [framed(folded(picture))]
    yield "pooled", [framed(square) for square in squares(picture)]
    yield "on mean", [framed(whole(picture, mean(picture)))]
    yield "on white", [framed(whole(picture, "white"))]
    yield "squash", [framed(picture.resize((SQUARE, SQUARE)))]


def long(picture, kind, ratio):
    width, height = picture.size
    upright = random.random() < 0.5
    if kind == "cut":
        if upright:
            part = height / ratio
            return picture.crop((round((width - part) / 2), 0, round((width + part) / 2), height))
        part = width / ratio
        return picture.crop((0, round((height - part) / 2), width, round((height + part) / 2)))
    colour = "white" if kind == "white" else mean(picture)
    size = (width, round(width * ratio)) if upright else (round(height * ratio), height)
    strip = Image.new("RGB", size, colour)
    room = [random.randint(0, max(0, side - own)) for side, own in zip(size, picture.size)]
    strip.paste(picture, tuple(room))
    return strip


def chosen(folder):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            for file in random.sample(sorted(os.listdir(path)), EACH):
                picture = Image.open(os.path.join(path, file)).convert("RGB")
                picture.thumbnail((320, 320))
                yield name, picture


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--imgsearch", default="imgsearch")
    options = parser.parse_args()
    random.seed(1)
    photographs = list(chosen(options.folder))
    classes = np.array([name for name, _ in photographs])
    with tempfile.TemporaryDirectory() as made:
        paths, jobs = [], []

        def store(picture):
            paths.append(os.path.join(made, f"{len(paths)}.png"))
            picture.save(paths[-1], compress_level=1)
            return paths[-1]

        own = [store(picture) for _, picture in photographs]
        for i, (_, picture) in enumerate(photographs):
            for ratio in RATIOS:
                for kind in ("cut", "mean", "white"):
                    for way, pictures in ways(long(picture, kind, ratio)):
                        jobs.append(((ratio, kind, way), i, [store(picture) for picture in pictures]))
        found = codes(options.imgsearch, paths)
    stored = np.array([found[path] for path in own])
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    results = {}
    for key, i, parts in jobs:
        code = np.mean([found[path] for path in parts], axis=0)
        order = np.argsort(-(stored @ code))
        others = [place for place in order if place != i][:NEAREST]
        results.setdefault(key, []).append((order[0] == i, np.mean(classes[others] == classes[i])))
    for (ratio, kind, way), rows in sorted(results.items()):
        itself, same = np.mean(np.array(rows, float), axis=0)
        print(f"{ratio:<4} {kind:<6} {way:<9} itself first {itself:.3f}  class {same:.3f}")


if __name__ == "__main__":
    main()
