#!/usr/bin/env python3
"""Measures other libraries on the codes of the search bench, in turns with it.

    benches/peers [IMAGES | INDEX]

of so many codes drawn from a seed, or of those in an index, makes a virtual environment with the libraries under target/, builds every index once, and then
asks each with the same queries, on one thread and on all, in rounds: first the one, then the
other, so that whatever else the machine does disturbs them alike. Prints the median of the rounds.
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
from usearch.index import Index

K = 10
ROUNDS = 3
# As the search bench asks on all threads.
REPEATS = 5
EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384]
WIDTH = 16
EF_CONSTRUCTION = 100
RECALLS = [0.95, 0.99, 0.999]


def main():
    bench, work, of = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    threads = len(os.sched_getaffinity(0))
    codes = work / "codes"
    ours = ["--images", of, "--keep", work / "index"] if of.isdigit() else ["--codes", of]
    said = subprocess.run(
        [bench, *ours, "--dump", codes, "--ef", "64", "--only-graph"],
        check=True, capture_output=True, text=True,
    ).stdout
    print(said.strip())
    base = numpy.fromfile(codes / "base.f32", dtype=numpy.float32).reshape(-1, 30)
    asked = numpy.fromfile(codes / "queries.f32", dtype=numpy.float32).reshape(-1, 30)

    flat = faiss.IndexFlatL2(30)
    flat.add(base)
    truth = flat.search(asked, K)[1]

    built, peers = {}, {}

    def build(name, make):
        started = time.perf_counter()
        peers[name] = make()
        built[name] = time.perf_counter() - started
        print(f"{name}: built in {built[name]:.1f} s", flush=True)

    build("usearch f32", lambda: usearch(base, "f32", threads))
    build("usearch f16", lambda: usearch(base, "f16", threads))
    build("hnswlib", lambda: hnsw(base, threads))
    build("faiss HNSW", lambda: faiss_hnsw(base, threads))

    measured = {}
    for _ in range(ROUNDS):
        said = subprocess.run(
            [bench, *ours, "--ef", ",".join(map(str, EFS)), "--json"],
            check=True, capture_output=True, text=True,
        ).stdout
        for line in said.splitlines():
            point = json.loads(line)
            times = (point["recall"], point["us"], 1e6 / point["per_second"])
            measured.setdefault(("imgsearch", point["ef"]), []).append(times)
        for name, ask in peers.items():
            for ef in EFS:
                times = []
                for n in [1, threads]:
                    ask(asked[:100], ef, n)
                    taken = []
                    for _ in range(1 if n == 1 else REPEATS):
                        started = time.perf_counter()
                        found = ask(asked, ef, n)
                        taken.append(time.perf_counter() - started)
                    times.append(statistics.median(taken) * 1e6 / len(asked))
                recall = sum(len(set(a) & set(b)) for a, b in zip(found, truth)) / truth.size
                measured.setdefault((name, ef), []).append((recall, *times))

    for column, on in [(1, "one thread"), (2, f"{threads} threads")]:
        table(measured, ["imgsearch", *peers], column, on)


def table(measured, names, column, on):
    print(f"\nmicroseconds a query on {on}, k = {K}, at a recall of at least (the view that took)")
    print(f"{'':14}" + "".join(f"{recall:>18}" for recall in RECALLS))
    first = {}
    for name in names:
        line = f"{name:14}"
        for recall in RECALLS:
            points = [
                (ef, statistics.median(times[column] for times in measured[name, ef]))
                for ef in EFS
                if statistics.median(times[0] for times in measured[name, ef]) >= recall
            ]
            if not points:
                line += f"{'-':>18}"
                continue
            ef, us = min(points, key=lambda point: point[1])
            first.setdefault(recall, us)
            line += f"{us:8.1f} {us / first[recall]:4.1f}x ({ef:>3})"
        print(line)


def usearch(base, dtype, threads):
    index = Index(ndim=30, metric="l2sq", dtype=dtype, connectivity=WIDTH, expansion_add=EF_CONSTRUCTION)
    index.add(numpy.arange(len(base)), base, threads=threads)

    def ask(queries, ef, threads):
        index.expansion_search = ef
        return index.search(queries, K, threads=threads).keys

    return ask


def hnsw(base, threads):
    index = hnswlib.Index(space="l2", dim=30)
    index.init_index(max_elements=len(base), M=WIDTH, ef_construction=EF_CONSTRUCTION)
    index.add_items(base, num_threads=threads)

    def ask(queries, ef, threads):
        index.set_ef(ef)
        return index.knn_query(queries, k=K, num_threads=threads)[0]

    return ask


def faiss_hnsw(base, threads):
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexHNSWFlat(30, WIDTH)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.add(base)

    def ask(queries, ef, threads):
        faiss.omp_set_num_threads(threads)
        index.hnsw.efSearch = ef
        return index.search(queries, K)[1]

    return ask


main()
