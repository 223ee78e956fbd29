"""A library of images: the front door."""

from __future__ import annotations

import datetime
import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from imgsearch import _native, _results
from imgsearch._errors import BadQuery
from imgsearch._images import Picture, plain
from imgsearch._progress import Report, Reporting
from imgsearch._runtime import default_folder

Folder: TypeAlias = "str | os.PathLike[str]"
Date: TypeAlias = "str | datetime.date | datetime.datetime"
RankBy: TypeAlias = Literal["both", "code", "hash"]
Part: TypeAlias = "Picture | tuple[Picture, float]"

#: A good weight for images to avoid.
LESS = 0.2


def many(paths: Folder | Iterable[Folder] | None) -> list[Folder]:
    """Returns one path or several as a list."""
    if paths is None:
        return []
    if isinstance(paths, (str, os.PathLike)):
        return [paths]
    return list(paths)


def _texts(texts: str | Iterable[str] | None) -> list[str]:
    if texts is None:
        return []
    return [texts] if isinstance(texts, str) else list(texts)


def _date(date: Date | None) -> str | None:
    if date is None or isinstance(date, str):
        return date
    return date.isoformat()


def filters(
    under: Folder | Iterable[Folder] | None = None,
    globs: str | Iterable[str] | None = None,
    after: Date | None = None,
    before: Date | None = None,
    min_size: int | str | None = None,
    max_size: int | str | None = None,
    labels: str | Iterable[str] | None = None,
    formats: str | Iterable[str] | None = None,
) -> dict[str, Any]:
    """Returns filters as the native part takes them."""
    return {
        "under": many(under),
        "globs": _texts(globs),
        "after": _date(after),
        "before": _date(before),
        "min_size": None if min_size is None else str(min_size),
        "max_size": None if max_size is None else str(max_size),
        "labels": _texts(labels),
        "formats": _texts(formats),
    }


class Library:
    """A library of images: an index in a folder, and the encoder that made it.

    `path` is the folder of the index; by default that of the command. An index that does not exist is created by
    the first `index`, unless `create` is False. `encoder` is an encoder file; by default the index's own, or the
    built-in one for a new index. `threads` is the number of worker threads, 0 for one per core. `provider` says
    where the encoder runs: `"cpu"`, `"cuda"`, or `"auto"`.

    A library can be used by several threads. Searches run in parallel; while it indexes, its searches wait.

    >>> library = imgsearch.Library(indexed)
    >>> library.status().images
    16
    """

    def __init__(
        self,
        path: Folder | None = None,
        *,
        encoder: Folder | None = None,
        create: bool = True,
        threads: int = 0,
        provider: Literal["cpu", "cuda", "auto"] = "cpu",
    ) -> None:
        folder = default_folder() if path is None else path
        self._native = _native.Library(folder, encoder, create, threads, provider)

    @property
    def path(self) -> Path:
        """The folder of the index."""
        return Path(self._native.dir)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def index(
        self,
        paths: Folder | Iterable[Folder],
        progress: bool | Report = False,
        *,
        hidden: bool = False,
        ignore: str | Iterable[str] | None = None,
        keep_missing: bool = False,
        prune: bool = False,
        retry: bool = False,
        adapt: bool = True,
    ) -> _results.Summary:
        """Indexes files and folders, or updates what is indexed of them. Unchanged files are not read.

        Files that cannot be decoded are not an error: `failures` lists them. Ctrl-C stops the run, and what was done by
        then is kept. `progress=True` shows a line on standard error; a function is called with the stage, how much of
        it is done and of how much.

        `hidden` includes hidden files. `ignore` are globs of files to leave out, as in `.gitignore`. Images whose files
        are gone are removed, unless `keep_missing` is set; if they are many, only with `prune`. `retry` tries files
        again that could not be decoded before. `adapt` lets the first run with enough images (300) train an encoder on
        them.

        >>> library = imgsearch.Library(indexed)
        >>> library.index(samples).unchanged
        16
        """
        arguments = {
            "hidden": hidden,
            "ignore": _texts(ignore),
            "keep_missing": keep_missing,
            "prune": prune,
            "retry": retry,
            "adapt": adapt,
        }
        with Reporting(progress) as report:
            return _results.Summary._of(self._native.index(many(paths), arguments, report))

    def search(
        self,
        image: Picture | None = None,
        *,
        text: str | None = None,
        id: int | None = None,
        more: Iterable[Part] = (),
        less: Iterable[Part] = (),
        k: int = 10,
        rank_by: RankBy = "both",
        expand: int = 3,
        focus: bool = False,
        min_similarity: float | None = None,
        radius: float | None = None,
        exact: bool = False,
        ef: int | None = None,
        under: Folder | Iterable[Folder] | None = None,
        globs: str | Iterable[str] | None = None,
        after: Date | None = None,
        before: Date | None = None,
        min_size: int | str | None = None,
        max_size: int | str | None = None,
        labels: str | Iterable[str] | None = None,
        formats: str | Iterable[str] | None = None,
    ) -> _results.Results:
        """Returns the `k` images nearest to a query, best first.

        A query is an image, words (`text`) or the `id` of a stored image. An image is a path, the bytes of a file, a
        Pillow image, or an array of uint8: `[height, width]`, `[height, width, 3]` or `[height, width, 4]`. `more` and
        `less` are further images to be like, and to be unlike; each may be a tuple with its weight, which is 1 and 0.2
        by default. `focus` counts more what the images agree on.

        `rank_by` is the code, the hash, or both. `expand` is the number of nearest images that a second search is
        mixed with, 0 for none. Nothing is found that is less similar than `min_similarity` (0 to 1) or further away
        than `radius`. `exact` compares all images; `ef` is the number of candidates in a graph search.

        Filters: `under` these folders; paths that match `globs`; taken `after` or `before` a date (`"2024-05"`, a date
        or a datetime); files of `min_size` to `max_size` (bytes, or `"200k"`); images that likely show all of `labels`;
        `formats` such as `"jpeg"`.

        Raises `BadImage`, `BadQuery` and `IndexNotFound`.

        >>> library = imgsearch.Library(indexed)
        >>> best = library.search(samples / "coffee.jpg", k=2)[1]
        >>> best.path.name, 0.5 < best.similarity < 1
        ('coffee-cup.jpg', True)
        >>> library.search(text="cat", k=1)[0].labels[0][0]
        'Egyptian cat'
        """
        parts = _question(image, text, id, more, less)
        options = _options(k, rank_by, expand, focus, min_similarity, radius, exact, ef)
        options["filter"] = filters(
            under, globs, after, before, min_size, max_size, labels, formats
        )
        found = _results.results(self._native.search(parts, options))
        if found.unknown_words:
            unknown = ", ".join(found.unknown_words)
            warnings.warn(f"words that are not known do not count: {unknown}", stacklevel=2)
        return found

    def search_batch(
        self,
        images: Iterable[Picture],
        *,
        k: int = 10,
        progress: bool | Report = False,
        rank_by: RankBy = "both",
        expand: int = 3,
        min_similarity: float | None = None,
        radius: float | None = None,
        exact: bool = False,
        ef: int | None = None,
        under: Folder | Iterable[Folder] | None = None,
        globs: str | Iterable[str] | None = None,
        after: Date | None = None,
        before: Date | None = None,
        min_size: int | str | None = None,
        max_size: int | str | None = None,
        labels: str | Iterable[str] | None = None,
        formats: str | Iterable[str] | None = None,
    ) -> list[_results.Results]:
        """Answers many queries on all cores, in their order; each as `search` does.

        >>> library = imgsearch.Library(indexed)
        >>> found = library.search_batch([samples / "cat.jpg", samples / "temple.jpg"], k=1)
        >>> [one[0].path.name for one in found]
        ['cat.jpg', 'temple.jpg']
        """
        options = _options(k, rank_by, expand, False, min_similarity, radius, exact, ef)
        options["filter"] = filters(
            under, globs, after, before, min_size, max_size, labels, formats
        )
        with Reporting(progress) as report:
            found = self._native.search_batch(list(images), _question_of_one, options, report)
        return [_results.results(one) for one in found]

    def duplicates(
        self,
        level: Literal["identical", "edited", "near"] = "edited",
        *,
        min_similarity: float | None = None,
        progress: bool | Report = False,
        under: Folder | Iterable[Folder] | None = None,
        globs: str | Iterable[str] | None = None,
        after: Date | None = None,
        before: Date | None = None,
    ) -> _results.Duplicates:
        """Finds files that hold the same picture. Nothing is changed.

        `level` says how alike: the same bytes, the same picture edited (resized, cropped, turned and so on), or also
        other shots of the same scene.

        >>> found = imgsearch.Library(indexed).duplicates()[0]
        >>> found.best.path.name, [file.path.name for file in found.others]
        ('cat.jpg', ['cat-face.jpg'])
        """
        filter = filters(under, globs, after, before)
        with Reporting(progress) as report:
            return _results.duplicates(
                self._native.duplicates(level, filter, min_similarity, report)
            )

    def groups(
        self,
        min_size: int | None = None,
        *,
        progress: bool | Report = False,
        under: Folder | Iterable[Folder] | None = None,
        globs: str | Iterable[str] | None = None,
        after: Date | None = None,
        before: Date | None = None,
    ) -> _results.Groups:
        """Finds groups of images that resemble each other, as many as there are.

        `min_size` is the fewest images of a group, at least 2; by default it grows with the collection.
        """
        filter = filters(under, globs, after, before)
        with Reporting(progress) as report:
            found = json.loads(self._native.groups(min_size, filter, report))
        groups = tuple(self._group(one) for one in found["groups"])
        return _results.Groups(groups, tuple(found["ungrouped"]), found["min_size"])

    def _group(self, group: dict[str, Any]) -> _results.Group:
        ids = group["images"]
        paths = (path for path in self._native.paths(ids) if path is not None)
        words = tuple((word["name"], word["share"]) for word in group["words"])
        return _results.Group(group["name"], words, tuple(ids), tuple(map(Path, paths)))

    def status(self) -> _results.Status:
        """Returns what is stored. Raises `IndexNotFound` if nothing was indexed yet."""
        text, folders = self._native.status()
        return _results.Status._of(text, map(Path, folders))

    def failures(self) -> list[_results.Failure]:
        """Returns the files that could not be read or decoded, with the reasons."""
        return [
            _results.Failure(Path(path), kind, reason)
            for path, kind, reason in self._native.failures()
        ]

    def remove(self, paths: Folder | Iterable[Folder], *, forever: bool = False) -> int:
        """Forgets the images at and below paths, and returns their number. The files stay.

        `restore` brings the images back for 30 days, unless they are forgotten `forever`.
        """
        return self._native.remove(many(paths), forever)

    def restore(self, paths: Folder | Iterable[Folder] | None = None) -> int:
        """Brings removed images back: those at and below paths, or all. Returns their number."""
        return self._native.restore(many(paths))

    def optimize(self, progress: bool | Report = False) -> None:
        """Makes searching fast, however little is new. `index` does this by itself once much is."""
        with Reporting(progress) as report:
            self._native.optimize(report)


def _options(
    k: int,
    rank_by: str,
    expand: int,
    focus: bool,
    min_similarity: float | None,
    radius: float | None,
    exact: bool,
    ef: int | None,
) -> dict[str, Any]:
    return {
        "k": count("k", k),
        "rank_by": rank_by,
        "expand": count("expand", expand, 0),
        "focus": focus,
        "exact": exact,
        "ef": ef,
        "radius": radius,
        "min_similarity": min_similarity,
    }


def count(name: str, value: int, at_least: int = 1) -> int:
    """Returns a number that is at least this large."""
    if value < at_least:
        raise BadQuery(f"{name} is a number from {at_least} up, not {value}")
    return int(value)


def _question_of_one(image: object) -> list[tuple[str, Any, float]]:
    return [("image", plain(image), 1.0)]


def _question(
    image: object | None,
    text: str | None,
    id: int | None,
    more: Iterable[Part],
    less: Iterable[Part],
) -> list[tuple[str, Any, float]]:
    """Returns the parts of a question with their weights, below 0 for those to avoid."""
    if isinstance(more, (str, bytes, os.PathLike)) or isinstance(less, (str, bytes, os.PathLike)):
        raise BadQuery("more and less are lists of images")
    parts: list[tuple[str, Any, float]] = []
    if image is not None:
        if isinstance(image, str) and not os.path.exists(image) and " " in image:
            raise BadQuery(
                f"there is no file {image!r}. To search with words: search(text={image!r})"
            )
        parts.append(("image", plain(image), 1.0))
    if text is not None:
        parts.append(("text", text, 1.0))
    if id is not None:
        parts.append(("id", int(id), 1.0))
    for several, sign, default in ((more, 1.0, 1.0), (less, -1.0, LESS)):
        for part in several:
            picture, weight = _weighted(part, default)
            if not weight >= 0:
                raise BadQuery(f"the weight {weight} is not a number from 0 up")
            parts.append(("image", plain(picture), sign * weight))
    if not parts:
        raise BadQuery("a search needs an image, a text or an id")
    return parts


def _weighted(part: Part, default: float) -> tuple[object, float]:
    if isinstance(part, tuple):
        if len(part) != 2 or not isinstance(part[1], (int, float)):
            raise BadQuery(
                "a part of more or less is an image, or a tuple of an image and its weight"
            )
        return part
    return part, default
