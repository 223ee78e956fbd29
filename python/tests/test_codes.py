"""Encoders, and indexes of codes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import imgsearch


@pytest.fixture(scope="module")
def encoder() -> imgsearch.Encoder:
    return imgsearch.Encoder()


def drawn(n: int, seed: int, length: int = 30) -> np.ndarray:
    """Codes in clusters, as those of photographs are."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(n // 50 + 1, length))
    codes = centres[random.integers(len(centres), size=n)] + random.normal(size=(n, length)) * 0.3
    return codes.astype(np.float32)


def nearest_by_numpy(codes: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    distances = np.linalg.norm(queries[:, None].astype(float) - codes[None].astype(float), axis=2)
    return np.sort(distances, axis=1)[:, :k]


def test_codes_of_an_encoder_are_those_of_the_index(
    encoder: imgsearch.Encoder, indexed: Path, samples: Path
) -> None:
    index = imgsearch.Index.open(indexed)
    ids = index.ids()
    stored, stored_hashes = index.stored(ids)
    paths = index.paths(ids)
    encoded = encoder.encode([path for path in paths if path])
    assert np.array_equal(encoded.codes, stored) and np.array_equal(encoded.hashes, stored_hashes)
    assert encoder.fingerprint == index.fingerprint and encoder.bits == index.bits == 256
    assert encoded.failed == {} and len(encoded) == 16
    assert encoded.labels[paths.index(samples / "cat.jpg")][0][1] > 0.1
    found, distances = index.nearest(encoded.codes, k=5)
    assert np.array_equal(found[:, 0], ids) and np.all(distances[:, 0] == 0)
    assert np.allclose(distances, nearest_by_numpy(stored, stored, 5), atol=1e-3)


def test_every_kind_of_image_and_any_number_of_them(
    encoder: imgsearch.Encoder, samples: Path
) -> None:
    path = samples / "coins.jpg"
    with PIL.Image.open(path) as opened:
        image = opened.convert("RGB")

    def images() -> Iterator[object]:
        yield from [path, path.read_bytes(), image, np.asarray(image), str(path)] * 9

    codes, hashes = encoder.encode(images())  # type: ignore[arg-type]
    assert codes.shape == (45, 30) and codes.dtype == np.float32
    assert hashes.shape == (45, 32) and hashes.dtype == np.uint8
    assert np.array_equal(codes[:5], codes[-5:])
    assert np.array_equal(codes[0], codes[1]) and np.array_equal(codes[2], codes[3])
    assert np.linalg.norm(codes[0] - codes[2]) < 0.15
    assert encoder.encode([]).codes.shape == (0, 30)
    assert encoder.encode(path).codes.shape == (1, 30)
    assert encoder.encode(np.asarray(image)).codes.shape == (1, 30)


def test_an_image_that_cannot_be_used_raises_or_is_not_a_number(
    encoder: imgsearch.Encoder, samples: Path, tmp_path: Path
) -> None:
    images = [samples / "cat.jpg", b"nothing", tmp_path / "none.png", samples / "coins.jpg"]
    with pytest.raises(imgsearch.BadImage, match="<image 1>: not an image"):
        encoder.encode(images)
    with pytest.raises(imgsearch.StorageError, match=r"none\.png"):
        encoder.encode(images[2:])
    encoded = encoder.encode(images, on_error="nan")
    assert np.isnan(encoded.codes).all(axis=1).tolist() == [False, True, True, False]
    assert not encoded.hashes[1:3].any()
    assert list(encoded.failed) == [1, 2] and "not an image" in encoded.failed[1]
    with pytest.raises(imgsearch.BadQuery, match="not dict"):
        encoder.encode([samples / "cat.jpg", {}], on_error="nan")  # type: ignore[list-item]


def test_nearest_finds_what_numpy_finds(tmp_path: Path) -> None:
    codes, queries = drawn(5_000, 1), drawn(300, 2)
    reports: list[str] = []
    index = imgsearch.Index.build(
        tmp_path / "index", codes, progress=lambda stage, done, of: reports.append(stage)
    )
    assert len(index) == 5_000 and {"storing", "folding"} <= set(reports)
    expected = nearest_by_numpy(codes, queries, 10)
    ids, distances = index.nearest(queries, k=10, exact=True)
    assert ids.shape == (300, 10) and ids.dtype == np.int64 and distances.dtype == np.float32
    assert np.allclose(distances, expected, rtol=1e-4, atol=1e-4)
    # Row i has the id i + 1.
    assert np.allclose(
        np.linalg.norm(queries[:, None] - codes[ids - 1], axis=2), distances, atol=1e-4
    )
    along_graph = index.nearest(queries, k=10)[1]
    assert np.mean(along_graph <= expected[:, -1:] + 1e-4) > 0.98
    assert index.paths([1, 6_000]) == [Path("/codes/0"), None]


def test_arrays_of_other_kinds_are_converted_or_refused(tmp_path: Path) -> None:
    codes = drawn(100, 1, 6)
    hashes = np.packbits(codes > 0, axis=1)
    index = imgsearch.Index.build(tmp_path / "index", codes, hashes)
    expected = index.nearest(codes[:7], k=3)
    for same in (
        codes[:7].astype(np.float64),
        np.asfortranarray(codes[:7]),
        np.repeat(codes[:7], 2, axis=1)[:, ::2],
        codes[:7].tolist(),
    ):
        found = index.nearest(same, k=3)
        assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    assert index.nearest(codes[0], k=3)[0].tolist() == expected[0][:1].tolist()
    assert index.nearest(np.empty((0, 6)), k=3)[0].shape == (0, 3)
    few_ids, few = index.nearest(codes[:2], k=120)
    assert (
        (few_ids[:, 100:] == -1).all()
        and np.isinf(few[:, 100:]).all()
        and (few_ids[:, :100] > 0).all()
    )
    by_hash = index.nearest(codes[:7], k=1, hashes=hashes[:7], rank_by="hash")[1]
    assert not by_hash.any()
    by_both = index.nearest(codes[:7], k=2, hashes=hashes[:7], rank_by="both", expand=1)[0]
    assert np.array_equal(by_both[:, 0], np.arange(1, 8))
    for wrong, message in [
        ({"codes": codes[:, :5]}, "codes of 5 numbers"),
        ({"codes": codes[None]}, r"shape \[n, length\], not \[1, 100, 6\]"),
        ({"codes": np.array(["a"])}, "codes are numbers"),
        ({"codes": codes, "k": 0}, "k is a number from 1 up"),
        ({"codes": codes, "rank_by": "both"}, "needs hashes"),
        ({"codes": codes, "hashes": hashes[:5]}, "hashes of the shape"),
        ({"codes": codes, "hashes": hashes.astype(int)}, "hashes are uint8"),
        ({"codes": np.full((1, 6), np.nan)}, "finite"),
        ({"codes": codes, "rank_by": "size"}, "needs hashes"),
    ]:
        with pytest.raises(imgsearch.BadQuery, match=message):
            index.nearest(**wrong)  # type: ignore[arg-type]
    with pytest.raises(imgsearch.BadQuery, match="holds an index already"):
        imgsearch.Index.build(tmp_path / "index", codes, hashes)
    with pytest.raises(imgsearch.BadQuery, match="no image with the id 101"):
        index.stored([101])


def test_other_threads_run_while_codes_are_searched(tmp_path: Path) -> None:
    codes = drawn(4_000, 3)
    index = imgsearch.Index.build(tmp_path / "index", codes)
    running, ticks = threading.Event(), 0
    running.set()

    def tick() -> None:
        nonlocal ticks
        while running.is_set():
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    before = ticks
    index.nearest(codes, k=10, exact=True)
    during = ticks - before
    running.clear()
    thread.join()
    # One that held the interpreter would let the other thread run next to never.
    assert during > 1_000


def test_many_threads_search_one_index_and_one_library(
    indexed: Path, library: imgsearch.Library, samples: Path
) -> None:
    index = imgsearch.Index.open(indexed)
    codes = index.stored(index.ids())[0]
    expected = index.nearest(codes, k=3)[0]
    wanted = [one.path for one in library.search(samples / "cat.jpg", k=3)]
    failed: list[object] = []

    def ask() -> None:
        for _ in range(5):
            if not np.array_equal(index.nearest(codes, k=3)[0], expected):
                failed.append("codes")
            if [one.path for one in library.search(samples / "cat.jpg", k=3)] != wanted:
                failed.append("images")

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
