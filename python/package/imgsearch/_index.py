"""Codes, searched by the thousand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgsearch import _native
from imgsearch._errors import BadQuery
from imgsearch._library import Folder, RankBy, count
from imgsearch._progress import Report, Reporting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Index:
    """An index, to be searched with codes. It only reads; each search sees what was stored before it.

    >>> index = imgsearch.Index.open(indexed)
    >>> len(index), index.code_length, index.bits
    (16, 30, 256)
    >>> codes, hashes = index.stored(index.ids())
    >>> ids, distances = index.nearest(codes, k=3)
    >>> ids.shape, ids.dtype.name, distances.dtype.name, bool((ids[:, 0] == index.ids()).all())
    ((16, 3), 'int64', 'float32', True)
    """

    def __init__(self, path: Folder) -> None:
        self._native = _native.Index(path)

    @classmethod
    def open(cls, path: Folder) -> Index:
        """Opens the index in a folder. Raises `IndexNotFound` if there is none."""
        return cls(path)

    @classmethod
    def build(
        cls,
        path: Folder,
        codes: npt.ArrayLike,
        hashes: npt.ArrayLike | None = None,
        *,
        names: Iterable[Folder] | None = None,
        encoder: str = "own codes",
        progress: bool | Report = False,
    ) -> Index:
        """Makes an index of codes that did not come from imgsearch, and opens it.

        `codes` is `[n, length]`, float32 or what becomes it; `hashes` is `[n, bytes]` of uint8, one byte of zeros for
        each row by default. Row `i` gets the id `i + 1` and is called `names[i]`. The folder must hold no index.

        >>> codes = numpy.eye(5, 4, dtype=numpy.float32)
        >>> index = imgsearch.Index.build(new_folder, codes)
        >>> index.nearest(codes[:2], k=1)[0].tolist()
        [[1], [2]]
        """
        import numpy as np

        rows = matrix("codes", codes)
        if not rows.shape[1]:
            raise BadQuery("codes have at least one number")
        packed = np.zeros((len(rows), 1), np.uint8) if hashes is None else bits(hashes)
        if names is None:
            named: list[Folder] = [Path("/codes") / str(row) for row in range(len(rows))]
        else:
            named = [Path(name).absolute() for name in names]
        what = [encoder, rows.shape[1], packed.shape[1] * 8]
        fingerprint = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]
        with Reporting(progress) as report:
            _native.build_index(path, rows, packed, named, encoder, fingerprint, 4.0, report)
        return cls(path)

    @property
    def path(self) -> Path:
        """The folder of the index."""
        return Path(self._native.dir)

    @property
    def code_length(self) -> int:
        """The numbers in a code."""
        return self._native.code_length

    @property
    def bits(self) -> int:
        """The bits in a hash."""
        return self._native.bits

    @property
    def encoder(self) -> str:
        """The name of the encoder that made the codes."""
        return self._native.encoder

    @property
    def fingerprint(self) -> str:
        """The fingerprint of that encoder: codes of another one cannot be compared."""
        return self._native.fingerprint

    def __len__(self) -> int:
        return len(self._native)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def nearest(
        self,
        codes: npt.ArrayLike,
        k: int = 10,
        *,
        hashes: npt.ArrayLike | None = None,
        rank_by: RankBy = "code",
        exact: bool = False,
        ef: int | None = None,
        expand: int = 0,
        radius: float | None = None,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Returns the ids and distances of the `k` images nearest to each code: `[n, k]` of int64, `[n, k]` of float32.

        `codes` is `[n, code_length]` of float32, or one code. What is of another type or not contiguous is copied.
        Ranking by `"hash"` or `"both"` also needs `hashes`, `[n, bits / 8]` of uint8. The first are the nearest; ties
        come by id. Places without an image have the id -1 and an infinite distance.

        All cores answer, and other Python threads run meanwhile. `exact` compares all images; `ef` is the number of
        candidates in a graph search. `expand` searches again with the query mixed with this many nearest images.
        """
        rows = matrix("codes", codes)
        if rows.shape[1] != self.code_length:
            raise BadQuery(
                f"codes of {rows.shape[1]} numbers, and the index holds codes of {self.code_length}"
            )
        packed = None if hashes is None else bits(hashes)
        if packed is None and rank_by != "code":
            raise BadQuery(f"ranking by {rank_by!r} needs hashes")
        if packed is not None and packed.shape != (len(rows), (self.bits + 7) // 8):
            raise BadQuery(
                f"hashes of the shape {list(packed.shape)}, and {len(rows)} codes need "
                f"[{len(rows)}, {(self.bits + 7) // 8}]"
            )
        arguments = {
            "k": count("k", k),
            "rank_by": rank_by,
            "exact": exact,
            "ef": ef,
            "expand": count("expand", expand, 0),
            "radius": radius,
        }
        return self._native.nearest(rows, packed, arguments)

    def ids(self) -> npt.NDArray[np.int64]:
        """Returns the ids of all images, in ascending order: `[n]` of int64."""
        return self._native.ids()

    def paths(self, ids: Iterable[int] | npt.NDArray[np.int64]) -> list[Path | None]:
        """Returns the paths of images; None for ids that are not stored."""
        import numpy as np

        plain = [int(id) for id in np.asarray(list(ids)).ravel()]
        return [None if path is None else Path(path) for path in self._native.paths(plain)]

    def stored(
        self, ids: Sequence[int] | npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Returns the codes and hashes of images: `[n, code_length]` of float32 and `[n, bits / 8]` of uint8."""
        return self._native.stored([int(id) for id in ids])


def matrix(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Returns values as rows of float32, one after the other in memory."""
    import numpy as np

    given: npt.NDArray[Any] = np.asarray(values)
    if given.dtype.kind not in "fiu":
        raise BadQuery(f"{name} are numbers, not {given.dtype}")
    if given.ndim == 1:
        given = given[None, :]
    if given.ndim != 2:
        raise BadQuery(f"{name} have the shape [n, length], not {list(given.shape)}")
    return np.ascontiguousarray(given, dtype=np.float32)


def bits(values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Returns packed hashes as rows of bytes, one after the other in memory."""
    import numpy as np

    given: npt.NDArray[Any] = np.asarray(values)
    if given.dtype != np.uint8:
        raise BadQuery(f"hashes are uint8, eight bits in each, not {given.dtype}")
    if given.ndim == 1:
        given = given[None, :]
    if given.ndim != 2:
        raise BadQuery(f"hashes have the shape [n, bytes], not {list(given.shape)}")
    return np.ascontiguousarray(given)
