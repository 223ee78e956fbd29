"""Measures `Index.nearest` beside other libraries, and `Encoder.encode` beside the command.

    python python/bench_nearest.py [FOLDER]

Needs, beside the package: pip install usearch hnswlib faiss-cpu. All libraries search the same
drawn codes with the same queries, on all cores, and each is tuned to the same recall: the smallest
number of candidates that finds the wanted share of the ten nearest. Best of five runs, taken in
turns. With FOLDER, its images are encoded by `Encoder.encode` and by `imgsearch encode`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import imgsearch

LENGTH, K, RUNS = 30, 10, 5
CANDIDATES = [10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1024]
RECALLS = [0.95, 0.99]
Search = Callable[[int], np.ndarray]


def drawn(n: int, seed: int, centres: np.ndarray) -> np.ndarray:
    """Codes in clusters of different widths, of length one, as those of photographs are."""
    random = np.random.default_rng(seed)
    of = random.integers(len(centres), size=n)
    spread = random.uniform(0.1, 0.6, size=(n, 1)) / np.sqrt(LENGTH)
    codes = centres[of] + random.normal(size=(n, LENGTH)) * spread
    return (codes / np.linalg.norm(codes, axis=1, keepdims=True)).astype(np.float32)


def nearest_of_all(codes: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The places of the nearest by comparing all, in double precision."""
    nearest = []
    squares = (codes.astype(float) ** 2).sum(axis=1)
    for some in np.array_split(queries.astype(float), max(1, len(queries) // 250)):
        distances = squares - 2 * some @ codes.T.astype(float)
        best = np.argpartition(distances, K, axis=1)[:, :K]
        nearest.append(best)
    return np.concatenate(nearest)


def libraries(codes: np.ndarray, queries: np.ndarray, work: Path) -> dict[str, Search]:
    """What each library takes to search: a number of candidates."""
    import faiss
    import hnswlib
    import usearch.index

    cores = os.cpu_count() or 1
    n = len(codes)
    made: dict[str, Search] = {}

    def building(name: str) -> Callable[[Search], None]:
        begun = time.perf_counter()

        def done(search: Search) -> None:
            made[name] = search
            print(f"{name:10} built in {time.perf_counter() - begun:5.1f} s", flush=True)

        return done

    done = building("imgsearch")
    own = imgsearch.Index.build(work / "index", codes)
    done(lambda ef: own.nearest(queries, K, ef=ef)[0] - 1)

    done = building("hnswlib")
    hnsw = hnswlib.Index("l2", LENGTH)
    hnsw.init_index(n, ef_construction=128, M=16)
    hnsw.set_num_threads(cores)
    hnsw.add_items(codes, num_threads=cores)

    def by_hnswlib(ef: int) -> np.ndarray:
        hnsw.set_ef(ef)
        return hnsw.knn_query(queries, K, num_threads=cores)[0].astype(np.int64)

    done(by_hnswlib)

    done = building("usearch")
    us = usearch.index.Index(
        ndim=LENGTH, metric="l2sq", dtype="f32", connectivity=16, expansion_add=128
    )
    us.add(np.arange(n), codes, threads=cores)

    def by_usearch(ef: int) -> np.ndarray:
        us.expansion_search = ef
        return us.search(queries, K, threads=cores).keys.astype(np.int64)

    done(by_usearch)

    done = building("faiss")
    faiss.omp_set_num_threads(cores)
    fs = faiss.IndexHNSWFlat(LENGTH, 16)
    fs.hnsw.efConstruction = 128
    fs.add(codes)

    def by_faiss(ef: int) -> np.ndarray:
        fs.hnsw.efSearch = ef
        return fs.search(queries, K)[1]

    done(by_faiss)
    return made


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    """The share of the nearest that was found."""
    return float(
        np.mean([len(set(a) & set(b)) / K for a, b in zip(found.tolist(), truth.tolist())])
    )


def search(n: int, asked: int) -> None:
    centres = np.random.default_rng(1).normal(size=(max(10, n // 100), LENGTH))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    codes, queries = drawn(n, 2, centres), drawn(asked, 3, centres)
    print(
        f"{asked:,} queries, {n:,} codes of {LENGTH} numbers, the {K} nearest, {os.cpu_count()} cores"
    )
    truth = nearest_of_all(codes, queries)
    with tempfile.TemporaryDirectory() as work:
        made = libraries(codes, queries, Path(work))
        for wanted in RECALLS:
            tuned: dict[str, tuple[int, float]] = {}
            for name, run in made.items():
                for ef in CANDIDATES:
                    reached = recall(run(ef), truth)
                    if reached >= wanted:
                        tuned[name] = (ef, reached)
                        break
            best = dict.fromkeys(tuned, float("inf"))
            for _ in range(RUNS):
                for name, (ef, _reached) in tuned.items():
                    begun = time.perf_counter()
                    made[name](ef)
                    best[name] = min(best[name], time.perf_counter() - begun)
            print(f"\nrecall of at least {wanted}")
            for name, (ef, reached) in tuned.items():
                times = best[name] / best["imgsearch"]
                print(
                    f"  {name:10} ef {ef:4}  recall {reached:.4f}  {best[name] * 1e3:7.1f} ms  "
                    f"{asked / best[name]:9,.0f} queries/s  {times:5.2f} of imgsearch's time"
                )


def encode(folder: Path) -> None:
    images = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    program = Path(sys.executable).parent / "imgsearch"
    encoder = imgsearch.Encoder()
    encoder.encode(images[:16])
    module = command = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        encoder.encode(images, on_error="nan")
        module = min(module, time.perf_counter() - begun)
        begun = time.perf_counter()
        names = "\n".join(map(str, images))
        subprocess.run(
            [str(program), "encode", "--json", "--files-from", "-"],
            input=names,
            text=True,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        command = min(command, time.perf_counter() - begun)
    print(
        f"\n{len(images):,} images: Encoder.encode {len(images) / module:.0f} images/s, imgsearch encode "
        f"{len(images) / command:.0f} images/s; {module / command:.2f} of the command's time"
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", nargs="?", type=Path, help="images to encode")
    arguments.add_argument("--codes", type=int, default=100_000)
    arguments.add_argument("--queries", type=int, default=10_000)
    own = arguments.parse_args()
    search(own.codes, own.queries)
    if own.folder:
        encode(own.folder)
