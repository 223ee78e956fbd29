#!/usr/bin/env python3
"""What batch sizes, options and threads of ONNX Runtime's sessions change.

    benches/python --sessions PHOTOS

makes what this needs and runs it. Every way encodes the same pictures in turns with the others;
processor time an image on one core, median of the rounds, and how many times faster that is than
batches of eight with no option, which is what imgsearch does. Then, on all cores, a session of one
thread for each core, which is what imgsearch does, and one session with a thread for each core.
"""

import concurrent.futures
import os
import pathlib
import statistics
import sys
import time

import numpy
import onnxruntime
from PIL import Image

ROUNDS = 15
PICTURES = 64
BATCH = 8
SIDE = 224

LEVELS = onnxruntime.GraphOptimizationLevel


def open_session(
    encoder, threads=1, pattern=True, arena=True, flush=False, level=LEVELS.ORT_ENABLE_ALL
):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = pattern
    options.enable_cpu_mem_arena = arena
    options.graph_optimization_level = level
    if flush:
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(encoder, options, providers=["CPUExecutionProvider"])


def plain(session, pictures, batch):
    name = session.get_inputs()[0].name
    for start in range(0, len(pictures), batch):
        session.run(None, {name: pictures[start : start + batch]})


def bound(session, pictures, batch):
    """With inputs and outputs bound (IoBinding)."""
    name = session.get_inputs()[0].name
    for start in range(0, len(pictures), batch):
        binding = session.io_binding()
        binding.bind_cpu_input(name, pictures[start : start + batch])
        for output in session.get_outputs():
            binding.bind_output(output.name)
        session.run_with_iobinding(binding)


def rate(sessions, pictures):
    """Pictures a second of sessions that encode side by side, each all pictures."""
    with concurrent.futures.ThreadPoolExecutor(len(sessions)) as threads:
        started = time.perf_counter()
        list(threads.map(lambda session: plain(session, pictures, BATCH), sessions))
        return len(sessions) * len(pictures) / (time.perf_counter() - started)


def cores(encoder, pictures):
    count = len(os.sched_getaffinity(0))
    ways = {
        f"{count} sessions of one thread": [open_session(encoder) for _ in range(count)],
        f"one session of {count} threads": [open_session(encoder, threads=count)],
    }
    rates = {name: [] for name in ways}
    for round in range(ROUNDS + 1):
        for name, sessions in ways.items():
            reached = rate(sessions, pictures)
            if round > 0:
                rates[name].append(reached)
    compared = statistics.median(next(iter(rates.values())))
    print(f"all {count} cores, {ROUNDS} rounds; images a second")
    for name, reached in rates.items():
        median = statistics.median(reached)
        print(f"{name:<28}{median:>8.1f}{median / compared:>8.3f} times as fast")


def main(encoder, photos):
    files = sorted(path for path in pathlib.Path(photos).rglob("*") if path.is_file())[:PICTURES]
    if len(files) < PICTURES:
        sys.exit(f"{photos} holds {len(files)} files; {PICTURES} photographs are needed")
    pictures = numpy.stack(
        [numpy.asarray(Image.open(file).convert("RGB").resize((SIDE, SIDE))) for file in files]
    )
    usual = open_session(encoder)
    ways = {f"batches of {batch}": (plain, usual, batch) for batch in (1, 2, 4, 8, 16, 32)}
    reference = f"batches of {BATCH}"
    ways |= {
        "inputs and outputs bound": (bound, usual, BATCH),
        "no memory pattern": (plain, open_session(encoder, pattern=False), BATCH),
        "no arena": (plain, open_session(encoder, arena=False), BATCH),
        "denormal numbers as zero": (plain, open_session(encoder, flush=True), BATCH),
        "optimised at level 2": (
            plain,
            open_session(encoder, level=LEVELS.ORT_ENABLE_EXTENDED),
            BATCH,
        ),
    }
    times = {name: [] for name in ways}
    # The first round warms up.
    for round in range(ROUNDS + 1):
        for name, (way, session, batch) in ways.items():
            started = time.process_time()
            way(session, pictures, batch)
            if round > 0:
                times[name].append((time.process_time() - started) / PICTURES)
    compared = statistics.median(times[reference])
    print(f"ONNX Runtime {onnxruntime.__version__}, one core, {ROUNDS} rounds; ms an image")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:<28}{1000 * median:>8.2f}{compared / median:>8.3f} times as fast")
    cores(encoder, pictures)


if __name__ == "__main__":
    main(*sys.argv[1:])
