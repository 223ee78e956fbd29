#!/usr/bin/env python3
"""What batch sizes and options of an ONNX Runtime session change, on one core.

    benches/python --sessions PHOTOS

makes what this needs and runs it. Every way encodes the same pictures in turns with the others;
processor time an image, median of the rounds, and how many times faster that is than batches of
eight with no option, which is what imgsearch does.
"""

import pathlib
import statistics
import sys
import time

import numpy
import onnxruntime
from PIL import Image

ROUNDS = 15
PICTURES = 32
BATCH = 8
SIDE = 224

LEVELS = onnxruntime.GraphOptimizationLevel


def open_session(encoder, pattern=True, arena=True, flush=False, level=LEVELS.ORT_ENABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
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


if __name__ == "__main__":
    main(*sys.argv[1:])
