#!/usr/bin/env python3
"""Makes the files of tests/fixtures/formats: one photograph in formats that the tests cannot write themselves.

    pip install pillow==13.0.0 pillow-heif==1.8.1 imagecodecs==2026.3.6 numpy
    python tests/make_formats.py

The photograph is tests/samples/cat.jpg. The folder is committed, so nobody needs to run this.
"""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image

HERE = Path(__file__).parent
OUT = HERE / "fixtures" / "formats"
CAT = Image.open(HERE / "samples" / "cat.jpg").convert("RGB")
TILE = 128


def exif(orientation):
    """An EXIF block: the orientation, and taken on 2 January 2021 at 03:04:05."""
    data = Image.Exif()
    data[0x0112] = orientation
    data.get_ifd(0x8769)[0x9003] = "2021:01:02 03:04:05"
    return data.tobytes()


def boxes(data):
    """Yields type, start of the content and end of the boxes in `data`."""
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        size = size or len(data) - place
        yield kind, place + 8, place + size
        place += size


def content(data, *path):
    """Returns the content of a box inside of boxes."""
    for kind in path:
        start, end = next((start, end) for of, start, end in boxes(data) if of == kind)
        # A full box, whose boxes follow its version.
        data = data[start + (4 if kind == b"meta" else 0) : end]
    return data


def coded(data, configuration):
    """Returns the configuration and the coded picture of a file with one item."""
    return content(data, b"meta", b"iprp", b"ipco", configuration), content(data, b"mdat")


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def full(kind, *parts, version=0, flags=0):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def container(brand, items, properties, references):
    """Writes a file. Items are (type, content, numbers of its properties), the first of them is shown; references
    are (type, from, to). Items and properties count from 1."""
    infos = [
        full(b"infe", struct.pack(">HH4s", i, 0, kind), b"\0", version=2)
        for i, (kind, _, _) in enumerate(items, 1)
    ]
    owned = [
        struct.pack(">HB", i, len(own)) + bytes(own) for i, (_, _, own) in enumerate(items, 1)
    ]
    ftyp = box(b"ftyp", brand, b"\0\0\0\0", b"mif1", brand)

    def meta(start):
        places = []
        for i, (_, data, _) in enumerate(items, 1):
            places.append(struct.pack(">HHHII", i, 0, 1, start, len(data)))
            start += len(data)
        refs = [
            box(kind, struct.pack(f">HH{len(to)}H", source, len(to), *to))
            for kind, source, to in references
        ]
        return full(
            b"meta",
            full(b"hdlr", b"\0\0\0\0pict", bytes(13)),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iloc", struct.pack(">HH", 0x4400, len(items)), *places),
            full(b"iinf", struct.pack(">H", len(items)), *infos),
            box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", struct.pack(">I", len(items)), *owned),
            ),
            full(b"iref", *refs) if refs else b"",
        )

    start = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(start) + box(b"mdat", *[data for _, data, _ in items])


def size(width, height):
    return full(b"ispe", struct.pack(">II", width, height))


def grid(brand, kind, configuration, tiles, turn=()):
    """A grid of three by two tiles, cut to the size of the photograph, with an EXIF item whose orientation, 3, does
    not count, and more properties."""
    across, down = 3, 2
    width, height = CAT.size
    properties = [
        size(width, height),
        size(TILE, TILE),
        box(configuration, tiles[0][0]),
        *turn,
    ]
    own = [1, *range(4, 4 + len(turn))]
    whole = struct.pack(">BBBBHH", 0, 0, down - 1, across - 1, width, height)
    items = [(b"grid", whole, own), *[(kind, data, [2, 3]) for _, data in tiles]]
    items.append((b"Exif", b"\0\0\0\0" + exif(3)[6:], []))
    references = [
        (b"dimg", 1, list(range(2, 2 + len(tiles)))),
        (b"cdsc", len(items), [1]),
    ]
    return container(brand, items, properties, references)


def parts():
    """The photograph in squares, with its last pixels repeated to their edges."""
    width, height = CAT.size
    pixels = np.asarray(CAT)
    pixels = np.pad(pixels, ((0, 2 * TILE - height), (0, 3 * TILE - width), (0, 0)), mode="edge")
    for y in range(2):
        for x in range(3):
            yield pixels[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE].copy()


def heif(image, **options):
    made = io.BytesIO()
    pillow_heif.from_pillow(image).save(made, quality=50, save_nclx_profile=True, **options)
    return made.getvalue()


def deep_heif(shift):
    made = io.BytesIO()
    pillow_heif.options.SAVE_HDR_TO_12_BIT = False
    deep = (np.asarray(CAT).astype(np.uint16) << shift).astype("<u2")
    frame = pillow_heif.from_bytes("RGB;16", CAT.size, deep.tobytes())
    frame.save(made, quality=50)
    return made.getvalue()


def avif(image, **options):
    made = io.BytesIO()
    image.save(made, "AVIF", quality=85, speed=4, **options)
    return made.getvalue()


def transparent():
    """The photograph, opaque to the left and transparent to the right."""
    image = CAT.convert("RGBA")
    opaque = np.zeros(CAT.size[::-1], np.uint8)
    opaque[:, : CAT.size[0] // 2] = 255
    image.putalpha(Image.fromarray(opaque))
    return image


def main():
    OUT.mkdir(exist_ok=True)
    pixels = np.asarray(CAT)
    pillow_heif.register_heif_opener()
    heic_tiles = [coded(heif(Image.fromarray(tile)), b"hvcC") for tile in parts()]
    # An odd height needs all of the colour.
    avif_tiles = [
        coded(avif(Image.fromarray(tile), subsampling="4:4:4"), b"av1C") for tile in parts()
    ]
    turned = CAT.transpose(Image.Transpose.ROTATE_270)
    even = CAT.crop((0, 0, 320, 208))
    small = even.resize((160, 104))
    thumbnail, whole = coded(heif(small), b"hvcC"), coded(heif(even), b"hvcC")
    jxl = imagecodecs.jpegxl_encode
    files = {
        "plain.heic": heif(CAT, exif=exif(1)),
        "full-colour.heic": heif(CAT, chroma=444),
        "deep.heic": deep_heif(8),
        "transparent.heic": heif(transparent()),
        "grid.heic": grid(b"heic", b"hvc1", b"hvcC", heic_tiles),
        # As phones store them: turned by the container, beside an EXIF orientation.
        "turned.heic": grid(b"heic", b"hvc1", b"hvcC", heic_tiles, [box(b"irot", b"\x01")]),
        "mirrored.heic": grid(
            b"heic", b"hvc1", b"hvcC", heic_tiles, [box(b"irot", b"\x03"), box(b"imir", b"\x01")]
        ),
        "thumbnail.heic": container(
            b"heic",
            [(b"hvc1", whole[1], [1, 3]), (b"hvc1", thumbnail[1], [2, 4])],
            [size(*even.size), size(*small.size), box(b"hvcC", whole[0]), box(b"hvcC", thumbnail[0])],
            [(b"thmb", 2, [1])],
        ),
        "plain.avif": avif(CAT, exif=exif(1)),
        "turned.avif": avif(turned, exif=exif(8)),
        "full-colour.avif": avif(CAT, subsampling="4:4:4"),
        "transparent.avif": avif(transparent()),
        "deep.avif": imagecodecs.avif_encode(
            pixels.astype(np.uint16) << 2, level=85, speed=4, bitspersample=10
        ),
        "grid.avif": grid(b"avif", b"av01", b"av1C", avif_tiles),
        "plain.jxl": jxl(pixels, distance=1.0, effort=7),
        "transparent.jxl": jxl(np.asarray(transparent().resize((160, 107))), lossless=True),
        "deep.jxl": jxl(pixels.astype(np.uint16) << 2, bitspersample=10, distance=1.0),
        "grey.jxl": jxl(np.asarray(CAT.convert("L")), distance=3.0),
        "from-jpeg.jxl": imagecodecs.jpegxl_encode_jpeg(jpeg_with_exif()),
    }
    # One colour, of which the test of memory decodes 33 megapixels.
    flat = Image.new("RGB", (5800, 5800), (200, 100, 50))
    files["large.heic"] = heif(flat, chroma=444)
    files["large.avif"] = avif(flat, subsampling="4:4:4")
    files["large.jxl"] = jxl(np.asarray(flat), distance=3.0)
    files["large.lossless.jxl"] = jxl(np.asarray(flat), lossless=True)
    files.update(tiffs())
    for name, data in files.items():
        (OUT / name).write_bytes(data)
        print(name, len(data))


def tiffs():
    """TIFFs as scanners write them, of black and white or of coloured quarters, and JPEG 2000."""

    def written(picture, kind, **options):
        made = io.BytesIO()
        picture.save(made, kind, **options)
        return made.getvalue()

    colours = Image.new("RGB", (64, 48), "white")
    for colour, place in [("#f00", (0, 0)), ("#0f0", (32, 0)), ("#00f", (0, 24))]:
        colours.paste(colour, (*place, place[0] + 32, place[1] + 24))
    grey = Image.new("L", (64, 48), 255)
    for place in [(0, 0), (32, 24)]:
        grey.paste(0, (*place, place[0] + 32, place[1] + 24))
    lines = grey.convert("1")
    jpeg = written(colours, "JPEG", quality=95, subsampling=0)
    # The older form: a directory that names a whole file.
    tags = [(256, 64), (257, 48), (258, 8), (259, 6), (262, 6), (277, 3), (513, 8), (514, len(jpeg))]
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    old = b"II*\0" + struct.pack("<I", 8 + len(jpeg)) + jpeg + directory + bytes(4)
    return {
        "fax3.tif": written(lines, "TIFF", compression="group3"),
        "fax4.tif": written(lines, "TIFF", compression="group4"),
        "fax-lines.tif": written(lines, "TIFF", compression="tiff_ccitt"),
        "jpeg-ycc.tif": written(colours, "TIFF", compression="jpeg", quality=95, tiffinfo={278: 16}),
        "jpeg-grey.tif": written(grey, "TIFF", compression="jpeg", quality=95),
        "old-jpeg.tif": old,
        "plain.jp2": written(CAT, "JPEG2000", quality_mode="dB", quality_layers=[34]),
        "grey.j2k": written(CAT.convert("L"), "JPEG2000", quality_mode="dB", quality_layers=[34], no_jp2=True),
    }


def jpeg_with_exif():
    made = io.BytesIO()
    CAT.transpose(Image.Transpose.ROTATE_270).save(made, "JPEG", quality=92, exif=exif(8))
    return made.getvalue()


if __name__ == "__main__":
    main()
