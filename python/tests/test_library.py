"""The library: indexing, searching, and what else it does."""

from __future__ import annotations

import datetime
import io
import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import imgsearch


def names(results: imgsearch.Results) -> list[str]:
    return [found.path.name for found in results]


def test_every_kind_of_picture_finds_itself_and_what_is_like_it(
    library: imgsearch.Library, samples: Path
) -> None:
    path = samples / "coffee.jpg"
    with PIL.Image.open(path) as opened:
        image = opened.convert("RGB")
    array = np.asarray(image)
    queries = [
        path,
        str(path),
        path.read_bytes(),
        bytearray(path.read_bytes()),
        memoryview(path.read_bytes()),
        image,
        array,
        np.dstack([array, np.full(array.shape[:2], 255, np.uint8)]),
        np.asfortranarray(array),
        np.pad(array, ((0, 0), (0, 7), (0, 0)))[:, :-7],
    ]
    by_path = library.search(path, k=3)
    assert names(by_path)[:2] == ["coffee.jpg", "coffee-cup.jpg"]
    assert by_path[0].distance == 0 and by_path[0].hamming == 0
    for query in queries:
        found = library.search(query, k=3)
        assert names(found)[:2] == names(by_path)[:2], type(query)
        # Decoders differ a little.
        assert found[0].distance < 0.1


def test_pixels_have_the_code_of_a_lossless_file_of_them(
    library: imgsearch.Library, samples: Path
) -> None:
    with PIL.Image.open(samples / "cat.jpg") as opened:
        image = opened.convert("RGB")
    png = io.BytesIO()
    image.save(png, "png")
    of_file, of_pixels = library.search(png.getvalue()), library.search(image)
    assert [one.distance for one in of_file] == [one.distance for one in of_pixels]


def test_grey_and_palettes_and_transparency(library: imgsearch.Library, samples: Path) -> None:
    with PIL.Image.open(samples / "cameraman.jpg") as opened:
        grey = opened.convert("L")
    of_grey = library.search(np.asarray(grey), k=1)
    assert names(of_grey) == ["cameraman.jpg"]
    assert of_grey == library.search(np.asarray(grey)[:, :, None], k=1)
    assert of_grey == library.search(grey, k=1)
    assert names(library.search(grey.convert("P"), k=1)) == ["cameraman.jpg"]
    assert names(library.search(grey.convert("LA"), k=1)) == ["cameraman.jpg"]


def test_a_pillow_image_is_turned_upright_as_its_file_is(
    library: imgsearch.Library, samples: Path
) -> None:
    turned = io.BytesIO()
    with PIL.Image.open(samples / "temple.jpg") as opened:
        exif = opened.getexif()
        exif[0x0112] = 6
        opened.transpose(PIL.Image.Transpose.ROTATE_90).save(turned, "jpeg", quality=95, exif=exif)
    by_bytes = library.search(turned.getvalue(), k=1)[0]
    with PIL.Image.open(turned) as opened:
        by_pillow = library.search(opened, k=1)[0]
    assert by_bytes.path.name == by_pillow.path.name == "temple.jpg"
    assert by_bytes.distance == pytest.approx(by_pillow.distance, abs=0.05)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((4, 4), np.float32), "uint8, not float32: values from 0 to 1 become"),
        (np.zeros((3, 8, 8), np.uint8), "the channels come last"),
        (np.zeros((2, 8, 8, 3), np.uint8), "pass the images one by one"),
        (np.zeros((8,), np.uint8), r"not \[8\]"),
        (np.zeros((0, 8), np.uint8), "no pixels"),
        (3.5, "not float"),
        ("a cat on a sofa", r"search\(text='a cat on a sofa'\)"),
    ],
)
def test_what_is_no_picture_is_refused(
    library: imgsearch.Library, picture: object, message: str
) -> None:
    with pytest.raises(imgsearch.BadQuery, match=message):
        library.search(picture)  # type: ignore[arg-type]


def test_files_that_cannot_be_used_are_named(library: imgsearch.Library, tmp_path: Path) -> None:
    with pytest.raises(imgsearch.StorageError, match="no-such-file"):
        library.search(tmp_path / "no-such-file.jpg")
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not an image")
    with pytest.raises(imgsearch.BadImage, match=r"bad\.jpg: not an image"):
        library.search(bad)
    with pytest.raises(imgsearch.BadImage, match="the image: not an image"):
        library.search(b"not an image")
    with pytest.raises(ValueError, match="the file is empty"):
        library.search(b"")


def test_words_find_what_images_show(library: imgsearch.Library) -> None:
    found = library.search(text="cat", k=2)
    assert names(found)[0] in ("cat.jpg", "cat-face.jpg")
    assert found[0].similarity is None and found[0].labels
    with pytest.warns(UserWarning, match="xyzzyish"):
        some = library.search(text="cat xyzzyish", k=1)
    assert some.unknown_words == ["xyzzyish"]
    with pytest.raises(imgsearch.BadQuery):
        library.search(text="xyzzyish", k=1)


def test_ids_and_mixtures(library: imgsearch.Library, samples: Path) -> None:
    cat = library.search(samples / "cat.jpg", k=1)[0]
    assert names(library.search(id=cat.id, k=1)) == ["cat.jpg"]
    mixed = library.search(id=cat.id, more=[samples / "coins.jpg"], k=4, expand=0)
    assert {"cat.jpg", "coins.jpg"} <= set(names(mixed))
    less = library.search(samples / "cat.jpg", less=[(samples / "cat-face.jpg", 0.5)], k=16)
    assert less[0].similarity is None
    plain = library.search(samples / "cat.jpg", k=16)
    assert less[0].distance > plain[0].distance == 0 and names(less) != names(plain)
    with pytest.raises(imgsearch.BadQuery, match="needs an image, a text or an id"):
        library.search()
    with pytest.raises(imgsearch.BadQuery, match="no image with the id 999"):
        library.search(id=999)
    with pytest.raises(imgsearch.BadQuery, match="weight -1"):
        library.search(id=cat.id, less=[(samples / "coins.jpg", -1)])


def test_rankings_and_limits(library: imgsearch.Library, samples: Path) -> None:
    path = samples / "cat.jpg"
    by_hash = library.search(path, rank_by="hash", expand=0)
    assert all(one.distance == pytest.approx(one.hamming / 256) for one in by_hash)
    by_code = library.search(path, rank_by="code", expand=0, k=3)
    assert by_code[1].similarity is None
    near = library.search(path, rank_by="code", expand=0, radius=by_code[1].distance)
    assert len(near) == 2
    similar = library.search(path, min_similarity=0.9)
    assert similar and all(one.similarity is not None and one.similarity >= 0.89 for one in similar)
    assert len(library.search(path, k=100)) == 16
    for wrong, message in [
        ({"k": 0}, "k is a number from 1 up"),
        ({"rank_by": "size"}, "rank_by is"),
        ({"min_similarity": 3.0}, "from 0 to 1"),
        ({"min_similarity": 0.5, "rank_by": "code"}, "min_similarity needs"),
        ({"radius": -1.0}, "radius"),
        ({"after": "yesterday"}, "is not a date"),
        ({"formats": "jpg2"}, "format jpg2 is unknown"),
        ({"labels": "xyzzy"}, "xyzzy"),
    ]:
        with pytest.raises(imgsearch.BadQuery, match=message):
            library.search(path, **wrong)  # type: ignore[arg-type]


def test_filters(library: imgsearch.Library, photos: Path, tmp_path: Path) -> None:
    own = imgsearch.Library(tmp_path / "index")
    other = tmp_path / "photos" / "other"
    other.mkdir()
    (photos / "coins.jpg").rename(other / "coins.jpg")
    os.utime(other / "coins.jpg", (1_600_000_000, 1_600_000_000))
    own.index(photos)
    query = photos / "cat.jpg"
    assert names(own.search(query, under=other)) == ["coins.jpg"]
    assert len(own.search(query, under=[photos])) == 4
    assert names(own.search(query, globs="*coins*")) == ["coins.jpg"]
    assert names(own.search(query, before="2021")) == ["coins.jpg"]
    assert names(own.search(query, before=datetime.date(2021, 1, 1))) == ["coins.jpg"]
    utc = datetime.timezone.utc
    assert names(own.search(query, before=datetime.datetime(2021, 1, 1, tzinfo=utc))) == [
        "coins.jpg"
    ]
    assert len(own.search(query, after="2021-01")) == 3
    assert own.search(query, formats=["png"]) == []
    assert own.search(query, min_size="100M") == []
    # Its own index is not touched.
    assert library.status().images == 16


def test_a_batch_is_what_single_searches_are(library: imgsearch.Library, samples: Path) -> None:
    paths = sorted(samples.glob("*.jpg"))
    with PIL.Image.open(paths[0]) as opened:
        images = [opened.convert("RGB"), *paths[1:]]
    reports: list[tuple[str, int, int]] = []
    together = library.search_batch(
        images, k=4, progress=lambda stage, done, of: reports.append((stage, done, of))
    )
    assert together == [library.search(image, k=4) for image in images]
    assert reports[-1] == ("searching", 16, 16)
    with pytest.raises(imgsearch.BadQuery, match="not int"):
        library.search_batch([paths[0], 7])  # type: ignore[list-item]
    with pytest.raises(imgsearch.BadImage):
        library.search_batch([paths[0], b"nothing"])


def test_indexing_again_reads_what_changed(photos: Path, tmp_path: Path) -> None:
    library = imgsearch.Library(tmp_path / "index")
    with pytest.raises(imgsearch.IndexNotFound, match="there is no index in"):
        library.status()
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff damaged")
    notes: list[object] = []
    stages: list[str] = []

    def report(stage: str, done: object, of: int) -> None:
        stages.append(stage)
        if stage == "note":
            notes.append(done)

    summary = library.index(photos, progress=report)
    assert (summary.added, summary.failed) == (4, 1)
    assert "indexing" in stages and any("bad.jpg" in str(note) for note in notes)
    failure = library.failures()[0]
    assert failure.path.name == "bad.jpg" and failure.kind == "decode" and failure.reason
    (photos / "coins.jpg").unlink()
    again = library.index([photos], keep_missing=True)
    assert (again.added, again.unchanged, again.removed, again.kept_missing) == (0, 3, 0, 1)
    assert library.index(photos).removed == 1
    status = library.status()
    assert (status.images, status.failed, status.folders) == (3, 1, (photos,))
    assert status.code_length == 30 and status.bits == 256
    with pytest.raises(imgsearch.StorageError, match="no such file or folder"):
        library.index(photos / "nowhere")


def test_removed_images_come_back(photos: Path, tmp_path: Path) -> None:
    library = imgsearch.Library(tmp_path / "index")
    library.index(photos)
    assert library.remove(photos / "cat.jpg") == 1
    assert library.status().images == 3 and library.status().trash == 1
    assert library.restore() == 1
    assert library.remove([photos], forever=True) == 4
    assert library.restore() == 0
    assert library.search(photos / "cat.jpg") == []


def test_duplicates_and_groups(photos: Path, tmp_path: Path) -> None:
    (photos / "copy.jpg").write_bytes((photos / "cat.jpg").read_bytes())
    with PIL.Image.open(photos / "temple.jpg") as opened:
        opened.resize((opened.width // 2, opened.height // 2)).save(photos / "small.jpg")
    library = imgsearch.Library(tmp_path / "index")
    library.index(photos)
    identical = library.duplicates("identical")
    assert [{file.path.name for file in group.files} for group in identical] == [
        {"cat.jpg", "copy.jpg"}
    ]
    edited = library.duplicates()
    assert len(edited) == 2 and edited.skipped == []
    temple = edited[1]
    assert temple.best.path.name == "temple.jpg" and temple.best.level == "identical"
    assert [file.path.name for file in temple.others] == ["small.jpg"]
    assert temple.others[0].difference
    assert library.duplicates("identical", under=photos / "nowhere") == []
    with pytest.raises(imgsearch.BadQuery, match="level is"):
        library.duplicates("alike")  # type: ignore[arg-type]

    groups = library.groups(min_size=2)
    inside = [id for group in groups.groups for id in group.ids]
    assert len(inside) + len(groups.ungrouped) == 6
    assert all(len(group.paths) == len(group.ids) for group in groups.groups)


def test_results_are_what_pandas_takes(library: imgsearch.Library, samples: Path) -> None:
    import pandas

    found = library.search(samples / "cat.jpg", k=4)
    table = found.to_pandas()
    assert len(table) == 4 and table["path"][0] == samples / "cat.jpg"
    assert pandas.DataFrame(found).equals(table)
    assert table["distance"].is_monotonic_increasing
    assert found[0]._asdict()["hamming"] == 0
    assert list(imgsearch.Results().to_pandas().columns) == list(table.columns)
    duplicates = library.duplicates().to_pandas()
    assert duplicates["is_best"].sum() == duplicates["group"].nunique()


def test_errors_are_told_apart(photos: Path, indexed: Path, tmp_path: Path) -> None:
    with pytest.raises(imgsearch.IndexNotFound):
        imgsearch.Library(tmp_path / "none", create=False)
    with pytest.raises(imgsearch.IndexNotFound):
        imgsearch.Index.open(tmp_path / "none")
    with pytest.raises(imgsearch.StorageError, match=r"no\.onnx"):
        imgsearch.Encoder(tmp_path / "no.onnx")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"nothing")
    with pytest.raises(imgsearch.BadEncoder, match=r"bad\.onnx"):
        imgsearch.Encoder(bad)
    with pytest.raises(imgsearch.BadQuery, match="provider"):
        imgsearch.Encoder(provider="tpu")  # type: ignore[arg-type]
    codes = np.eye(4, 8, dtype=np.float32)
    imgsearch.Index.build(tmp_path / "codes", codes)
    built_in = next(indexed.glob("encoder-*.onnx"))
    with pytest.raises(imgsearch.EncoderMismatch, match="own codes"):
        imgsearch.Library(tmp_path / "codes", encoder=built_in)
    with pytest.raises(imgsearch.BadEncoder, match="is missing"):
        imgsearch.Library(tmp_path / "codes").index(photos)
    damaged = tmp_path / "damaged"
    imgsearch.Library(damaged).index(photos)
    for file in damaged.glob("imgsearch.sqlite*"):
        file.unlink()
    (damaged / "imgsearch.sqlite").write_bytes(b"x" * 8192)
    with pytest.raises(imgsearch.DamagedIndex, match="damaged"):
        imgsearch.Library(damaged, create=False).search(photos / "cat.jpg")
    for kind in (imgsearch.Locked, imgsearch.NoRuntime, imgsearch.BadImage):
        assert issubclass(kind, imgsearch.Error)
