#!/usr/bin/env python3
"""Measures other libraries on the codes of the search bench, in turns with it.

    benches/peers [IMAGES | INDEX]

Of so many images drawn from a seed, or of those in an index, builds every index once, and then asks
each with the same queries, on one thread and on all, in rounds: first the one, then the other, so
that whatever else the machine does disturbs them alike. Each is asked with all queries once before
it is timed. The first round asks with more and more candidates; the others repeat only the numbers of
candidates that are the first to reach a recall of the table. Prints the median of the rounds; builds
are timed once.

Two tables. By code: 30 numbers. imgsearch pads them to 32 and walks its graph over int8, so the
others get both lengths, of which the faster counts, and those that have it int8 as well; what int8
found is ranked again in float32 by imgsearch and by faiss with refinement, not by usearch. By code
and hash, imgsearch's default: the others get the same ranking as the squared distance of vectors of
286 numbers, the code and behind it each bit as plus or minus half the root of what it counts.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import faiss
import hnswlib
import numpy
import svs
from usearch.index import Index

K = 10
CODE, PADDED, BITS = 30, 32, 256
# The built-in encoder's, which drawn images have as well.
HASH_WEIGHT = 16.0
ROUNDS = 3
# As the search bench asks on all threads.
REPEATS = 5
EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]
WIDTH = 16
EF_CONSTRUCTION = 100
# SVS's graph has up to so many links a node, as many as the others on their lowest level.
SVS_DEGREE, SVS_ALPHA = 32, 1.2
# What faiss ranks again in float32: so many times k.
REFINED = 4
RECALLS = [0.95, 0.99, 0.999]


def main():
    bench, work, of = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    threads = len(os.sched_getaffinity(0))
    dump = work / "codes"
    ours = ["--images", of] if of.isdigit() else ["--codes", of]
    ours += ["--keep", work / "index"]
    said = subprocess.run(
        [bench, *ours, "--dump", dump, "--ef", "64", "--only-graph"],
        check=True, capture_output=True, text=True,
    ).stdout
    print(said.strip())
    base, asked = (read(dump / f"{name}.f32", numpy.float32, CODE) for name in ["base", "queries"])
    bits, asked_bits = (read(dump / f"{name}.bits", numpy.uint8, BITS // 8) for name in ["base", "queries"])

    codes = {"": (base, asked), " 32": (padded(base), padded(asked))}
    makers = {
        "usearch f32": lambda rows: usearch(rows, "f32", threads),
        "usearch f16": lambda rows: usearch(rows, "f16", threads),
        "usearch int8": lambda rows: usearch(rows, "i8", threads),
        "hnswlib": lambda rows: hnsw(rows, threads),
        "faiss HNSW": lambda rows: faiss_hnsw(rows, threads),
        "faiss HNSW int8 refined": lambda rows: faiss_hnsw_int8(rows, threads),
        "SVS f32": lambda rows: vamana(rows, threads),
        "SVS f16": lambda rows: vamana(rows, threads, numpy.float16),
    }
    compare("by code", bench, ours, "code", codes, makers, threads)

    both = {"": (fused(base, bits), fused(asked, asked_bits))}
    for lossy in ["usearch int8", "faiss HNSW int8 refined"]:
        # One scale for numbers and bits leaves the numbers too coarse.
        del makers[lossy]
    compare("by code and hash, the default", bench, ours, "both", both, makers, threads)


def read(path, kind, width):
    return numpy.fromfile(path, dtype=kind).reshape(-1, width)


def padded(rows):
    return numpy.pad(rows, ((0, 0), (0, PADDED - CODE))).copy()


def fused(codes, bits):
    half = numpy.sqrt(HASH_WEIGHT / BITS).astype(numpy.float32) / 2
    signs = numpy.unpackbits(bits, axis=1, bitorder="little").astype(numpy.float32) * 2 - 1
    return numpy.concatenate([codes, signs * half], axis=1)


def compare(title, bench, ours, by, variants, makers, threads):
    rows, asked = variants[""]
    flat = faiss.IndexFlatL2(rows.shape[1])
    flat.add(rows)
    truth = flat.search(asked, K)[1]
    print(f"\n{title}")
    peers = {}
    for name, make in makers.items():
        for variant, (rows, asked) in variants.items():
            started = time.perf_counter()
            peers[name, variant] = (make(rows), asked)
            seconds = time.perf_counter() - started
            print(f"{name}{variant}: built in {seconds:.1f} s, timed once", flush=True)

    measured = {}
    wanted = {}
    for turn in range(ROUNDS):
        efs = wanted.get(("imgsearch", ""), EFS)
        said = "" if not efs else subprocess.run(
            [bench, *ours, "--by", by, "--ef", ",".join(map(str, efs)), "--json"],
            check=True, capture_output=True, text=True,
        ).stdout
        for line in said.splitlines():
            point = json.loads(line)
            times = (point["recall"], point["us"], 1e6 / point["per_second"])
            measured.setdefault(("imgsearch", "", point["ef"]), []).append(times)
        for (name, variant), (ask, asked) in peers.items():
            for ef in wanted.get((name, variant), EFS):
                times = timed(ask, asked, ef, threads, truth)
                measured.setdefault((name, variant, ef), []).append(times)
                if turn == 0 and times[0] >= RECALLS[-1]:
                    break
        if turn == 0:
            wanted = first_to_reach(measured)

    for column, on in [(1, "one thread"), (2, f"{threads} threads")]:
        table(title, measured, ["imgsearch", *makers], column, on)


def timed(ask, asked, ef, threads, truth):
    """Recall, microseconds a query on one thread, and on all threads."""
    times = []
    for n in [1, threads]:
        ask(asked, ef, n)
        taken = []
        for _ in range(1 if n == 1 else REPEATS):
            started = time.perf_counter()
            found = ask(asked, ef, n)
            taken.append(time.perf_counter() - started)
        times.append(statistics.median(taken) * 1e6 / len(asked))
    recall = sum(len(set(a) & set(b)) for a, b in zip(found, truth)) / truth.size
    return (recall, *times)


def first_to_reach(measured):
    """For each index, the smallest numbers of candidates that reach each recall of the tables."""
    reached = {}
    for (name, variant, ef), times in measured.items():
        for recall in RECALLS:
            if times[0][0] >= recall:
                best = reached.setdefault((name, variant), {})
                best[recall] = min(ef, best.get(recall, ef))
    # An index that reaches none is not asked again.
    every = {(name, variant): [] for name, variant, _ in measured}
    return every | {index: sorted(set(best.values())) for index, best in reached.items()}


def table(title, measured, names, column, on):
    print(f"\n{title}: microseconds a query on {on}, k = {K}, at a recall of at least (with so many candidates)")
    print(f"{'':24}" + "".join(f"{recall:>21}" for recall in RECALLS))
    first = {}
    for name in names:
        line = f"{name:24}"
        for recall in RECALLS:
            points = [
                (statistics.median(one[column] for one in times), f"{ef}{variant and '/'}{variant.strip()}")
                for (of, variant, ef), times in measured.items()
                if of == name and len(times) == ROUNDS and statistics.median(one[0] for one in times) >= recall
            ]
            if not points:
                line += f"{'-':>21}"
                continue
            us, how = min(points)
            first.setdefault(recall, us)
            line += f"{us:8.1f} {us / first[recall]:4.1f}x {'(' + how + ')':>6}"
        print(line)


def usearch(rows, dtype, threads):
    index = Index(
        ndim=rows.shape[1], metric="l2sq", dtype=dtype, connectivity=WIDTH, expansion_add=EF_CONSTRUCTION
    )
    index.add(numpy.arange(len(rows)), rows, threads=threads)

    def ask(queries, ef, threads):
        index.expansion_search = ef
        return index.search(queries, K, threads=threads).keys

    return ask


def hnsw(rows, threads):
    index = hnswlib.Index(space="l2", dim=rows.shape[1])
    index.init_index(max_elements=len(rows), M=WIDTH, ef_construction=EF_CONSTRUCTION)
    index.add_items(rows, num_threads=threads)

    def ask(queries, ef, threads):
        index.set_ef(ef)
        return index.knn_query(queries, k=K, num_threads=threads)[0]

    return ask


def faiss_hnsw(rows, threads):
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexHNSWFlat(rows.shape[1], WIDTH)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.add(rows)

    def ask(queries, ef, threads):
        faiss.omp_set_num_threads(threads)
        index.hnsw.efSearch = ef
        return index.search(queries, K)[1]

    return ask


def faiss_hnsw_int8(rows, threads):
    faiss.omp_set_num_threads(threads)
    graph = faiss.IndexHNSWSQ(rows.shape[1], faiss.ScalarQuantizer.QT_8bit, WIDTH)
    graph.hnsw.efConstruction = EF_CONSTRUCTION
    graph.train(rows)
    index = faiss.IndexRefineFlat(graph)
    index.k_factor = REFINED
    index.add(rows)

    def ask(queries, ef, threads):
        faiss.omp_set_num_threads(threads)
        graph.hnsw.efSearch = max(ef, REFINED * K)
        return index.search(queries, K)[1]

    # What refining works on has to stay.
    ask.graph = graph
    return ask


def vamana(rows, threads, kind=numpy.float32):
    parameters = svs.VamanaBuildParameters(
        graph_max_degree=SVS_DEGREE, window_size=EF_CONSTRUCTION, alpha=SVS_ALPHA
    )
    index = svs.Vamana.build(parameters, rows.astype(kind), svs.DistanceType.L2, num_threads=threads)

    def ask(queries, ef, threads):
        index.num_threads = threads
        index.search_window_size = ef
        return index.search(queries, K)[0]

    return ask


main()
