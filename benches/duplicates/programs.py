#!/usr/bin/env python3
"""How long `imgsearch duplicates` takes in several builds of the program, such as before and after a change, in turns.

    python3 benches/duplicates/programs.py INDEX PROGRAM...

Prints seconds of processor time and of the clock for each turn, and the groups that each build finds.
"""

import json
import os
import subprocess
import sys
import time

TURNS = 2


def run(program, index):
    before, started = os.times(), time.monotonic()
    ran = subprocess.run([program, "duplicates", "--index", index, "--json", "--quiet"], stdout=subprocess.PIPE)
    after, took = os.times(), time.monotonic() - started
    if ran.returncode not in (0, 1):
        sys.exit(f"{program} ended with {ran.returncode}")
    groups = [json.loads(line) for line in ran.stdout.splitlines()]
    processor = after.children_user - before.children_user + after.children_system - before.children_system
    return processor, took, len(groups), sum(len(group["files"]) for group in groups)


def main():
    index, programs = sys.argv[1], sys.argv[2:]
    for turn in range(1, TURNS + 1):
        for number, program in enumerate(programs, 1):
            processor, took, groups, files = run(program, index)
            print(
                f"turn {turn}, program {number}: {processor:.1f} s of the processor, {took:.1f} s, "
                f"{groups} groups of {files} files",
                flush=True,
            )


if __name__ == "__main__":
    main()
