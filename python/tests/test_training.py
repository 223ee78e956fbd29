"""Training and evaluation, on crops of the sample images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import imgsearch


@pytest.fixture(scope="module")
def crops(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each sample image, with crops of it."""
    folder = tmp_path_factory.mktemp("crops")
    random = np.random.default_rng(1)
    for path in sorted(samples.glob("*.jpg"))[:12]:
        own = folder / path.stem
        own.mkdir()
        with PIL.Image.open(path) as image:
            for number in range(12):
                width, height = (int(side * 0.6) for side in image.size)
                left = int(random.integers(image.width - width + 1))
                top = int(random.integers(image.height - height + 1))
                crop = image.crop((left, top, left + width, top + height))
                crop.save(own / f"{number}.jpg")
    return folder


def test_a_trained_encoder_is_measured_and_indexes(crops: Path, tmp_path: Path) -> None:
    output = tmp_path / "own.onnx"
    stages: set[str] = set()
    trained = imgsearch.train(
        crops, output, name="crops", epochs=3, progress=lambda stage, done, of: stages.add(stage)
    )
    assert trained.path == output and trained.images + trained.held_out == 144
    assert 0 < trained.after["code"] <= 1 and {"encoding", "epochs"} <= stages
    assert imgsearch.Encoder(output).name == "crops"
    measured = imgsearch.evaluate(crops, [None, output])
    assert (measured.queries, measured.classes) == (144, 12)
    table = measured.to_pandas()
    assert {"crops"} < set(table["encoder"]) and table["map"].between(0.2, 1).all()
    library = imgsearch.Library(tmp_path / "index", encoder=output)
    library.index(crops / "cat", adapt=False)
    assert library.status().encoder == "crops"


def test_too_few_images_are_refused(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(imgsearch.TrainingError):
        imgsearch.train(samples / "cat.jpg", tmp_path / "own.onnx")
    assert not (tmp_path / "own.onnx").exists()
    with pytest.raises(imgsearch.BadQuery, match="purpose"):
        imgsearch.train(samples, tmp_path / "own.onnx", purpose="fun")  # type: ignore[arg-type]
    with pytest.raises(imgsearch.BadQuery):
        imgsearch.evaluate(samples)
