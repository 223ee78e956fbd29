#!/usr/bin/env python3
"""How soon `imgsearch watch` has indexed a change, and what it costs while nothing changes.

    python3 benches/watch.py PROGRAM PHOTOS [IMAGES]

copies the photographs of a folder until there are IMAGES (default 1,000) in folders of 100, watches them, and
prints the time from the last write of a change to the end of its batch, the batches of a burst of 10,000 files,
and processor time and memory while it is idle. Linux only. It needs nothing but Python.
"""

import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time

IDLE_SECONDS = 60
BURST = 10_000
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


class Watch:
    """A watcher, and its events with the time when each came."""

    def __init__(self, program, base):
        environment = dict(os.environ, IMGSEARCH_INDEX=str(base / "index"))
        command = [program, "watch", "--json", "--no-adapt", "photos"]
        self.process = subprocess.Popen(
            command, cwd=base, env=environment, stdout=subprocess.PIPE, text=True
        )
        self.events = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.events.put((time.time(), json.loads(line)))

    def until(self, name):
        while True:
            moment, event = self.events.get(timeout=600)
            if event["event"] == name:
                return moment, event

    def processor_seconds(self):
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def memory(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        sizes = dict(line.split(":") for line in status if line.startswith(("VmRSS", "RssFile")))
        return {name: int(size.split()[0]) / 1024 for name, size in sizes.items()}


def fill(photos, source, images):
    found = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if len(found) < 4:
        sys.exit(f"{source} has fewer than 4 photographs")
    for number in range(images):
        folder = photos / f"{number // 100:04}"
        folder.mkdir(parents=True, exist_ok=True)
        path = found[4 + number % (len(found) - 4)] if len(found) > 4 else found[number % 4]
        shutil.copy(path, folder / f"{number % 100:02}{path.suffix}")
    return found


def measure(program, base, source, images):
    photos = base / "photos"
    found = fill(photos, source, images)
    # Copies of this moment are indexed like any others.
    time.sleep(1)
    started = time.time()
    watch = Watch(program, base)
    try:
        ready, event = watch.until("watching")
        print(f"first run of {images} images: {ready - started:.1f} s, {event['folders']} folders")

        def timed(what, act):
            act()
            written = time.time()
            ended, _ = watch.until("batch")
            print(f"{what}: {ended - written:.2f} s from the last write to the end of the batch")
            time.sleep(0.5)

        new = photos / f"new{found[0].suffix}"
        moved = photos / f"moved{found[0].suffix}"
        timed("new file", lambda: shutil.copy(found[0], new))
        timed("changed file", lambda: shutil.copy(found[1], new))
        timed("moved file", lambda: new.rename(moved))
        timed("moved folder", lambda: (photos / "0000").rename(photos / "elsewhere"))
        timed("deleted file", moved.unlink)

        before = watch.processor_seconds()
        time.sleep(IDLE_SECONDS)
        used = watch.processor_seconds() - before
        print(f"idle: {used:.4f} s of processor time in {IDLE_SECONDS} s, {used / IDLE_SECONDS:.4%}")
        memory = watch.memory()
        print(f"memory: {memory['VmRSS']:.0f} MiB, of them {memory['RssFile']:.0f} MiB mapped files")

        outside = base / "outside"
        outside.mkdir()
        shutil.copy(found[2], base / "first")
        for number in range(BURST):
            os.link(base / "first", outside / f"{number:05}.jpg")
        started = time.time()
        for number in range(BURST):
            os.rename(outside / f"{number:05}.jpg", photos / f"{number:05}.jpg")
        written = time.time()
        added = batches = 0
        while added < BURST:
            ended, event = watch.until("batch")
            added += event["summary"]["added"]
            batches += 1
        print(
            f"burst of {BURST} files in {written - started:.2f} s: {batches} batches, "
            f"{ended - written:.1f} s from the last to the end of the last batch"
        )
    finally:
        watch.process.terminate()
        watch.process.wait()


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    program, source = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    images = int(sys.argv[3]) if len(sys.argv) == 4 else 1000
    with tempfile.TemporaryDirectory() as base:
        measure(program, pathlib.Path(base).resolve(), source, images)


if __name__ == "__main__":
    main()
