#!/usr/bin/env python3
"""Times Python's ways to turn folders of photographs into codes or hashes, in turns with imgsearch.

    benches/python PHOTOS

makes what this needs and runs it. Every way has a process for each core, which is started and has
loaded its libraries and its encoder before the clock starts; `imgsearch index` is timed as a
process, from its start to its end. Prints the best of the rounds, for noise only ever slows down.
"""

import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import imagehash
import numpy
import onnxruntime
from PIL import Image, ImageOps

ROUNDS = 3
BATCH = 8
# As the encoder wants its pictures: the short side, and the square that is cut out.
SHORT, SIDE = 256, 224

session = None


def start(encoder):
    """Readies a process: one thread each, as there is a process for each core."""
    global session
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(encoder, options, providers=["CPUExecutionProvider"])


def ready(_):
    time.sleep(0.2)
    return session is not None


def picture(path, draft):
    with Image.open(path) as image:
        if draft:
            # The smallest scale that libjpeg offers and that is not below twice what is wanted, as
            # imgsearch does.
            image.draft("RGB", (2 * SHORT, 2 * SHORT))
        image = ImageOps.exif_transpose(image.convert("RGB"))
    scale = SHORT / min(image.size)
    width, height = (max(SIDE, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    return numpy.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def full(paths):
    return session.run(["code", "hash"], {"images": numpy.stack([picture(path, False) for path in paths])})


def draft(paths):
    return session.run(["code", "hash"], {"images": numpy.stack([picture(path, True) for path in paths])})


def phash(paths):
    return [str(imagehash.phash(Image.open(path))) for path in paths]


def imgsearch(program, folder):
    """Images a second, by the whole process."""
    with tempfile.TemporaryDirectory() as index:
        started = time.perf_counter()
        said = subprocess.run(
            [program, "--index", f"{index}/index", "index", "--no-adapt", folder, "--json"],
            check=True, capture_output=True, text=True,
        ).stdout
        seconds = time.perf_counter() - started
    return json.loads(said.splitlines()[-1])["summary"]["added"] / seconds


def main():
    program, encoder, *folders = sys.argv[1:]
    ways = {"Pillow, full decode, ONNX Runtime": full, "Pillow, draft mode, ONNX Runtime": draft, "imagehash pHash": phash}
    cores = len(os.sched_getaffinity(0))
    best = {}
    with multiprocessing.get_context("spawn").Pool(cores, start, [encoder]) as pool:
        pool.map(ready, range(cores), 1)
        for _ in range(ROUNDS):
            for folder in folders:
                files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
                batches = [files[i : i + BATCH] for i in range(0, len(files), BATCH)]
                rates = {"imgsearch index": imgsearch(program, folder)}
                for name, way in ways.items():
                    started = time.perf_counter()
                    for _ in pool.imap_unordered(way, batches):
                        pass
                    rates[name] = len(files) / (time.perf_counter() - started)
                for name, rate in rates.items():
                    best[folder, name] = max(best.get((folder, name), 0), rate)
    for folder in folders:
        ours = best[folder, "imgsearch index"]
        print(f"{folder}, images a second on {cores} cores (best of {ROUNDS} rounds)")
        for name in ["imgsearch index", *ways]:
            rate = best[folder, name]
            print(f"  {name:36} {rate:8.1f}   imgsearch is {ours / rate:5.2f} times as fast")


if __name__ == "__main__":
    main()
