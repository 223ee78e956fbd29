"""Encoders: from images to codes and hashes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from imgsearch import _native
from imgsearch._images import Picture, plain
from imgsearch._library import Folder
from imgsearch._progress import Report, Reporting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from imgsearch._results import Label


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What an encoder makes of `n` images. It unpacks into codes and hashes.

    `codes` is `[n, code_length]` of float32. `hashes` is `[n, bits / 8]` of uint8: bit `i` is in byte `i // 8` at
    position `i % 8`, as `numpy.unpackbits(hashes, axis=1, bitorder="little")` reads it. `labels` are the classes that
    each image most likely shows. `failed` are the places of images that could not be used, with the reasons.
    """

    codes: npt.NDArray[np.float32]
    hashes: npt.NDArray[np.uint8]
    labels: list[list[Label]]
    failed: dict[int, str]

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return iter((self.codes, self.hashes))

    def __len__(self) -> int:
        return len(self.codes)


class Encoder:
    """An encoder, from its file; the built-in one by default.

    `threads` is the number of worker threads, 0 for one per core. `provider` says where it runs: `"cpu"`, `"cuda"`, or
    `"auto"`.

    >>> encoder = imgsearch.Encoder()
    >>> codes, hashes = encoder.encode([samples / "cat.jpg", samples / "coins.jpg"])
    >>> codes.shape, codes.dtype.name, hashes.shape, hashes.dtype.name
    ((2, 30), 'float32', (2, 32), 'uint8')
    """

    def __init__(
        self,
        path: Folder | None = None,
        *,
        threads: int = 0,
        provider: Literal["cpu", "cuda", "auto"] = "cpu",
    ) -> None:
        self._native = _native.Encoder(path, threads, provider)

    @property
    def name(self) -> str:
        """The name in the file."""
        return self._native.name

    @property
    def fingerprint(self) -> str:
        """Names the function from images to codes: equal fingerprints give equal codes."""
        return self._native.fingerprint

    @property
    def code_length(self) -> int:
        """The numbers in a code."""
        return self._native.code_length

    @property
    def bits(self) -> int:
        """The bits in a hash."""
        return self._native.bits

    @property
    def hash_weight(self) -> float:
        """How much the share of differing bits adds to the squared distance of the codes, if both rank."""
        return self._native.hash_weight

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r}, {self.code_length} numbers, {self.bits} bits>"
        )

    def encode(
        self,
        images: Iterable[Picture] | Picture,
        progress: bool | Report = False,
        *,
        on_error: Literal["raise", "nan"] = "raise",
    ) -> Encoded:
        """Encodes images on all cores.

        An image is a path, the bytes of a file, a Pillow image, or an array of uint8: `[height, width]`,
        `[height, width, 3]` or `[height, width, 4]`. Each is read when its turn has come, so many paths take little
        memory. With `on_error="nan"`, an image that cannot be used has a code of NaN and a hash of zeros, and is in
        `failed`; otherwise it raises `BadImage` or `StorageError`.

        >>> encoder = imgsearch.Encoder()
        >>> grey = numpy.zeros((48, 64), numpy.uint8)
        >>> encoder.encode([grey]).codes.shape
        (1, 30)
        """
        import numpy as np

        single = (str, os.PathLike, bytes, bytearray, memoryview)
        is_array = isinstance(images, np.ndarray) and images.ndim < 4
        if isinstance(images, single) or is_array or hasattr(images, "mode"):
            images = [cast(Picture, images)]
        if on_error not in ("raise", "nan"):
            raise ValueError(f'on_error is "raise" or "nan", not {on_error!r}')
        pictures = list(images)
        with Reporting(progress) as report:
            codes, hashes, labels, failed = self._native.encode(
                pictures, plain, on_error == "nan", report
            )
        return Encoded(codes, hashes, labels, dict(failed))
