"""What comes back: plain data classes, of which pandas makes tables."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas

_EPOCH = datetime.datetime(1970, 1, 1)

Label = tuple[str, float]
"""The name of a class and how likely an image shows it, from 0 to 1."""


class _AsDict:
    __slots__ = ()

    def _asdict(self) -> dict[str, Any]:
        """Returns the fields by name."""
        own: Any = self
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(own)}


@dataclass(frozen=True, slots=True)
class Result(_AsDict):
    """An image that was found.

    `distance` ranks it: both together, the Euclidean distance of the codes, or the share of differing bits, as
    `rank_by` says. `similarity` is how alike the two images are, from 0 to 1, or None if that was not measured.
    `hamming` counts the differing bits of the hashes. `labels` are the classes that it most likely shows, best first.
    `taken` is what the camera's clock showed. `damage` says what is wrong with the file, if only a part could be used.
    """

    path: Path
    distance: float
    similarity: float | None
    hamming: int
    labels: tuple[Label, ...]
    id: int
    width: int
    height: int
    format: str
    bytes: int
    taken: datetime.datetime | None
    damage: str | None


class Results(list[Result]):
    """The images found, best first.

    `resembles` says whether the query looks like anything in the collection, or is None if that is unknown.
    `unknown_words` are the words of a text that do not count, because they are not known.
    """

    resembles: bool | None
    unknown_words: list[str]

    def __init__(
        self,
        results: Iterable[Result] = (),
        *,
        resembles: bool | None = None,
        unknown_words: Iterable[str] = (),
    ) -> None:
        super().__init__(results)
        self.resembles = resembles
        self.unknown_words = list(unknown_words)

    @property
    def paths(self) -> list[Path]:
        """The paths of the images."""
        return [found.path for found in self]

    def to_pandas(self) -> pandas.DataFrame:
        """Returns a table with a row for each image. Needs the package `pandas`.

        >>> library = imgsearch.Library(indexed)
        >>> table = library.search(samples / "cat.jpg", k=2).to_pandas()
        >>> list(table.columns)[:4]
        ['path', 'distance', 'similarity', 'hamming']
        """
        import pandas

        columns = [one.name for one in dataclasses.fields(Result)]
        return pandas.DataFrame([found._asdict() for found in self], columns=columns)


def results(answered: tuple[list[Any], bool | None, list[str]]) -> Results:
    """Makes results of what the native part returns."""
    rows, resembles, unknown = answered
    made = (
        Result(
            path=Path(path),
            distance=distance,
            similarity=similarity,
            hamming=hamming,
            labels=tuple(labels),
            id=id,
            width=width,
            height=height,
            format=format,
            bytes=bytes,
            taken=None if taken is None else _EPOCH + datetime.timedelta(seconds=taken),
            damage=damage,
        )
        for (
            id,
            path,
            distance,
            similarity,
            hamming,
            labels,
            width,
            height,
            format,
            bytes,
            taken,
            damage,
        ) in rows
    )
    return Results(made, resembles=resembles, unknown_words=unknown)


@dataclass(frozen=True, slots=True)
class Summary(_AsDict):
    """What an indexing run did, in numbers of files or images.

    `identical` counts those of the added and changed whose content was stored already. `kept_missing` counts images
    whose files were not found and that were kept out of caution or on request. `adaptation` says what happened to the
    encoder, or could.
    """

    added: int
    changed: int
    moved: int
    removed: int
    unchanged: int
    identical: int
    damaged: int
    failed: int
    failed_before: int
    kept_missing: int
    encoded: int
    seconds: float
    images_per_second: float
    adaptation: dict[str, Any] | None = None

    @classmethod
    def _of(cls, text: str) -> Summary:
        values = json.loads(text)
        return cls(**{one.name: values.get(one.name) for one in dataclasses.fields(cls)})


@dataclass(frozen=True, slots=True)
class Status(_AsDict):
    """The size of an index. `folders` are those of the last run; `trash` counts removed images that can be restored."""

    images: int
    contents: int
    damaged: int
    failed: int
    trash: int
    without_labels: int
    bytes: int
    segments: int
    encoder: str
    fingerprint: str
    code_length: int
    bits: int
    folders: tuple[Path, ...]

    @classmethod
    def _of(cls, text: str, folders: Iterable[Path]) -> Status:
        values = json.loads(text)
        values.update(values.pop("stats"), folders=tuple(folders))
        return cls(**{one.name: values[one.name] for one in dataclasses.fields(cls)})


@dataclass(frozen=True, slots=True)
class Failure(_AsDict):
    """A file that could not be read or decoded."""

    path: Path
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class DuplicateFile(_AsDict):
    """A file of a group of duplicates. `level` and `difference` compare it with the best file of the group."""

    path: Path
    id: int
    level: Literal["identical", "edited", "near"]
    difference: str
    bytes: int
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files that hold the same picture: at least two, the best one of them also by itself."""

    files: tuple[DuplicateFile, ...]
    best: DuplicateFile

    @property
    def others(self) -> list[DuplicateFile]:
        """The files other than the best one."""
        return [file for file in self.files if file is not self.best]


class Duplicates(list[DuplicateGroup]):
    """Groups of duplicates. `skipped` are the files that were left out, with the reasons."""

    skipped: list[tuple[Path, str]]

    def __init__(
        self, groups: Iterable[DuplicateGroup] = (), skipped: Iterable[tuple[Path, str]] = ()
    ) -> None:
        super().__init__(groups)
        self.skipped = list(skipped)

    def to_pandas(self) -> pandas.DataFrame:
        """Returns a table with a row for each file, and the columns `group` and `is_best`. Needs `pandas`."""
        import pandas

        rows = [
            {"group": number, "is_best": file is group.best, **file._asdict()}
            for number, group in enumerate(self)
            for file in group.files
        ]
        columns = ["group", "is_best", *(one.name for one in dataclasses.fields(DuplicateFile))]
        return pandas.DataFrame(rows, columns=columns)


def duplicates(found: tuple[list[Any], list[tuple[Path, str]]]) -> Duplicates:
    """Makes duplicates of what the native part returns."""
    groups, skipped = found
    made = []
    for files, best in groups:
        own = tuple(DuplicateFile(Path(path), *rest) for (path, *rest) in files)
        made.append(DuplicateGroup(own, own[best]))
    return Duplicates(made, ((Path(path), reason) for path, reason in skipped))


@dataclass(frozen=True, slots=True)
class Group:
    """Images that resemble each other, the most typical first.

    `name` says what it shows, or is None if no word fits. `words` are up to three words that set it apart, each with
    the share of the group that shows it.
    """

    name: str | None
    words: tuple[tuple[str, float], ...]
    ids: tuple[int, ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a collection, the largest first, and the images in no group."""

    groups: tuple[Group, ...]
    ungrouped: tuple[int, ...]
    min_size: int = field(default=0)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, place: int) -> Group:
        return self.groups[place]
