"""What the tests share: the sample images of the repository, and an index of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import imgsearch

SAMPLES = Path(__file__).parents[2] / "tests" / "samples"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the sample images, which is not written to."""
    assert len(list(SAMPLES.glob("*.jpg"))) == 16
    return SAMPLES


@pytest.fixture(scope="session")
def indexed(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index of the sample images, which is not written to."""
    folder = tmp_path_factory.mktemp("indexed") / "index"
    summary = imgsearch.Library(folder).index(samples)
    assert (summary.added, summary.failed) == (16, 0)
    return folder


@pytest.fixture
def library(indexed: Path) -> imgsearch.Library:
    """The library of the sample images, opened anew."""
    return imgsearch.Library(indexed)


@pytest.fixture
def photos(samples: Path, tmp_path: Path) -> Path:
    """A copy of four sample images, to be changed."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("cat", "coffee", "coins", "temple"):
        shutil.copy(samples / f"{name}.jpg", folder)
    return folder
