#!/usr/bin/env python3
"""Compares what imgsearch reads with what Pillow reads, on folders of difficult files.

    pip install pillow==13.0.0 pillow-heif==1.8.1
    python benches/formats/suites.py FOLDER [--imgsearch PROGRAM] [--list]

Every folder in FOLDER is a suite: the test files of a project, for example. Folders of fuzzers' inputs are left out,
because they hold no pictures. A file counts if Pillow (with its plugin
for HEIF) decodes it without an error. Its code is compared with that of Pillow's decoding: the first frame, turned by
its EXIF data, in sRGB by its colour profile, 16-bit greys divided by 256, shown on white, stored as PNG.

Prints a table: of the files that Pillow reads, how many imgsearch reads, and how many codes have a cosine of at least
0.98. With --list also every file that is missing or differs, most frequent reasons first.
"""

import argparse
import collections
import concurrent.futures
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings

import pillow_heif
from PIL import Image, ImageCms, ImageOps

BAR = 0.98
SECONDS = 20
MAX_BYTES = 100 << 20
# What is no picture for people, and what begins like one.
TEXTS = {
    ".py", ".rs", ".c", ".cc", ".cpp", ".h", ".md", ".txt", ".rst", ".json", ".toml", ".yml", ".xml", ".html", ".js",
    ".ttf", ".otf", ".zip", ".gz", ".sh", ".cmake", ".in", ".am", ".ac", ".m4", ".vcxproj", ".icc", ".icm", ".pdf",
}


def upright(picture):
    """Returns the first frame as people see it, in RGB on white."""
    profile = picture.info.get("icc_profile")
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    elif picture.mode in ("I", "F"):
        low, high = picture.getextrema()
        top = 65535 if picture.mode == "I" and high > 255 else 255 if high > 1 else 1
        picture = picture.convert("F").point(lambda value: value * (255 / top)).convert("L")
    if profile and picture.mode in ("RGB", "L", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            picture = ImageCms.profileToProfile(
                picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        ground.alpha_composite(picture)
        picture = ground
    return picture.convert("RGB")


def convert(job):
    """Writes Pillow's decoding of a file. Returns the format, or None if Pillow does not read it."""
    path, target = job
    pillow_heif.register_heif_opener()
    warnings.simplefilter("ignore")
    try:
        with Image.open(path) as picture:
            kind = picture.format
            upright(picture).save(target)
            return kind
    except Exception:  # Whatever Pillow's plugins raise, the file is not one that Pillow reads.
        return None


def codes(program, paths):
    """Returns a code for each path that imgsearch reads, and the reason for each other."""
    found, reasons = {}, {}
    if not paths:
        return found, reasons
    run = subprocess.run(
        [program, "encode", "--json", "--null", "--max-seconds", str(SECONDS), "--files-from", "-"],
        input="\0".join(paths).encode(),
        capture_output=True,
        check=False,
    )
    for line in run.stdout.decode().splitlines():
        row = json.loads(line)
        found[row["path"]] = row["code"]
    for line in run.stderr.decode(errors="replace").splitlines():
        for path in [line.removeprefix("imgsearch: ").split(": ")[0]]:
            reasons[path] = line.removeprefix("imgsearch: ").removeprefix(path + ": ")
    return found, reasons


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / (math.hypot(*a) * math.hypot(*b))


def files(folder):
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and "fuzz" not in name)
        for name in sorted(names):
            path = os.path.join(root, name)
            if os.path.splitext(name)[1].lower() in TEXTS or os.path.islink(path):
                continue
            if 16 < os.path.getsize(path) <= MAX_BYTES:
                yield path


def measure(suite, program, made):
    """Compares the files of a suite. Returns the number read by Pillow, and rows of what is missing or differs."""
    paths = list(files(suite))
    jobs = [(path, os.path.join(made, f"{i}.png")) for i, path in enumerate(paths)]
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        kinds = list(pool.map(convert, jobs, chunksize=8))
    read = [(path, target, kind) for (path, target), kind in zip(jobs, kinds) if kind]
    ours, reasons = codes(program, [path for path, _, _ in read])
    theirs, _ = codes(program, [target for path, target, _ in read if path in ours])
    missing, differing = [], []
    for path, target, kind in read:
        if path not in ours:
            missing.append((kind, reasons.get(path, "no reason"), path))
        elif target in theirs and (near := cosine(ours[path], theirs[target])) < BAR:
            differing.append((near, kind, path))
    return len(read), missing, differing


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--imgsearch", default="imgsearch", help="the program to measure")
    parser.add_argument("--list", action="store_true", help="also print each file that is missing or differs")
    parser.add_argument("--suite", action="append", help="only these folders")
    options = parser.parse_args()
    suites = options.suite or sorted(os.listdir(options.folder))
    print(f"{'suite':<20} {'Pillow':>6} {'ours':>6} {'share':>7} {'>= ' + str(BAR):>8}", flush=True)
    notes = []
    for name in suites:
        suite = os.path.join(options.folder, name)
        if not os.path.isdir(suite):
            continue
        with tempfile.TemporaryDirectory() as made:
            count, missing, differing = measure(suite, options.imgsearch, made)
        read = count - len(missing)
        share = f"{100 * read / max(count, 1):.1f} %"
        print(f"{name:<20} {count:>6} {read:>6} {share:>7} {read - len(differing):>8}", flush=True)
        notes.append((name, missing, differing))
    if options.list:
        report(notes)
    return 0


def report(notes):
    for name, missing, differing in notes:
        frequent = collections.Counter(row[:2] for row in missing)
        for kind, reason, path in sorted(missing, key=lambda row: (-frequent[row[:2]], row)):
            print(f"{name}\tmissing\t{kind}\t{path}\t{reason}")
        for near, kind, path in sorted(differing):
            print(f"{name}\t{near:.4f}\t{kind}\t{path}")


if __name__ == "__main__":
    sys.exit(main())
