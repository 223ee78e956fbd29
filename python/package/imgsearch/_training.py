"""Encoders of your own, and how good they are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgsearch import _native
from imgsearch._library import Folder, many
from imgsearch._progress import Report, Reporting

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class Trained:
    """What training came to.

    `before` and `after` are the shares of the nearest neighbours by features that the code, the hash and both keep,
    among images held out. `judged` compares the encoders without labels, or is None if there are too few images.
    """

    path: Path
    images: int
    held_out: int
    before: dict[str, float] | None
    after: dict[str, float]
    judged: dict[str, float] | None
    extract_seconds: float
    train_seconds: float


def train(
    paths: Folder | Iterable[Folder],
    output: Folder,
    *,
    encoder: Folder | None = None,
    purpose: Literal["similar", "copies"] = "similar",
    name: str | None = None,
    epochs: int | None = None,
    progress: bool | Report = False,
) -> Trained:
    """Trains an encoder on the images at and below paths, without labels, and writes it to the file `output`.

    `encoder` gives the features; by default the built-in one. `purpose` says what the encoder finds: similar images, or
    edited copies of one. `Library(path, encoder=output)` uses it for a new index.

    Raises `TrainingError` if there are too few images.
    """
    with Reporting(progress) as report:
        text = _native.train(many(paths), output, encoder, purpose, name, epochs, report)
    values = json.loads(text)
    values["path"] = Path(output)
    return Trained(**{one.name: values[one.name] for one in dataclasses.fields(Trained)})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well encoders find images of the same class: a row for each representation.

    A row is a dictionary with `encoder` (None for a baseline), `representation`, `length`, `bytes`, `map` (mean
    average precision) and other measures.
    """

    protocol: str
    queries: int
    database: int
    classes: int
    rows: list[dict[str, Any]]

    def to_pandas(self) -> pandas.DataFrame:
        """Returns the rows as a table. Needs the package `pandas`."""
        import pandas

        return pandas.DataFrame(self.rows)


def evaluate(
    folder: Folder,
    encoders: Folder | Iterable[Folder | None] | None = None,
    *,
    protocol: str | None = None,
    baselines: bool = False,
    seed: int = 1,
    progress: bool | Report = False,
) -> Evaluation:
    """Measures encoders on a folder with one folder of images for each class; by default the built-in encoder.

    By default, every image asks for the others of its class. A `protocol` such as
    `"queries=1000,database=50000,cutoff=1000"` draws queries and a database. `baselines` adds what is possible without
    training.
    """
    if encoders is None:
        files: list[Folder | None] = [None]
    elif isinstance(encoders, (str, Path)):
        files = [encoders]
    else:
        files = list(encoders)  # type: ignore[arg-type]
    with Reporting(progress) as report:
        text = _native.evaluate(folder, files, protocol, baselines, seed, report)
    values = json.loads(text)
    return Evaluation(**{one.name: values[one.name] for one in dataclasses.fields(Evaluation)})
