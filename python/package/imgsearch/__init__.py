"""Semantic image search.

An encoder turns every image into a *code* of 30 numbers and a *hash* of 256 bits. Images that show similar things get
similar codes and hashes, and a search finds the nearest.

>>> import imgsearch
>>> library = imgsearch.Library(index_folder)
>>> library.index(samples).added
16
>>> [found.path.name for found in library.search(samples / "cat.jpg", k=2)]
['cat.jpg', 'cat-face.jpg']

`Library` indexes and searches images. `Index` searches codes by the thousand, and `Encoder` makes them. `train` and
`evaluate` make encoders of your own and measure them. Every error is an `Error`. The same package holds the command
`imgsearch`.
"""

from __future__ import annotations

from imgsearch import _native
from imgsearch import _runtime as _runtime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from imgsearch._encoder import Encoded, Encoder
    from imgsearch._errors import (
        BadEncoder,
        BadImage,
        BadQuery,
        DamagedIndex,
        EncoderMismatch,
        Error,
        ForkedProcess,
        IndexNotFound,
        Locked,
        NewerFormat,
        NoRuntime,
        StorageError,
        TrainingError,
    )
    from imgsearch._index import Index
    from imgsearch._library import Library
    from imgsearch._results import (
        DuplicateFile,
        DuplicateGroup,
        Duplicates,
        Failure,
        Group,
        Groups,
        Result,
        Results,
        Status,
        Summary,
    )
    from imgsearch._runtime import default_folder, runtime
    from imgsearch._training import Evaluation, Trained, evaluate, train

__version__ = _native.version()

__all__ = [
    "BadEncoder",
    "BadImage",
    "BadQuery",
    "DamagedIndex",
    "DuplicateFile",
    "DuplicateGroup",
    "Duplicates",
    "Encoded",
    "Encoder",
    "EncoderMismatch",
    "Error",
    "Evaluation",
    "Failure",
    "ForkedProcess",
    "Group",
    "Groups",
    "Index",
    "IndexNotFound",
    "Library",
    "Locked",
    "NewerFormat",
    "NoRuntime",
    "Result",
    "Results",
    "Status",
    "StorageError",
    "Summary",
    "Trained",
    "TrainingError",
    "default_folder",
    "evaluate",
    "runtime",
    "train",
]

# Loaded at their first use: the command needs none of them, and loading all takes longer than a query.
_MODULES = {
    "BadEncoder": "_errors",
    "BadImage": "_errors",
    "BadQuery": "_errors",
    "DamagedIndex": "_errors",
    "DuplicateFile": "_results",
    "DuplicateGroup": "_results",
    "Duplicates": "_results",
    "Encoded": "_encoder",
    "Encoder": "_encoder",
    "EncoderMismatch": "_errors",
    "Error": "_errors",
    "Evaluation": "_training",
    "Failure": "_results",
    "ForkedProcess": "_errors",
    "Group": "_results",
    "Groups": "_results",
    "Index": "_index",
    "IndexNotFound": "_errors",
    "Library": "_library",
    "Locked": "_errors",
    "NewerFormat": "_errors",
    "NoRuntime": "_errors",
    "Result": "_results",
    "Results": "_results",
    "Status": "_results",
    "StorageError": "_errors",
    "Summary": "_results",
    "Trained": "_training",
    "TrainingError": "_errors",
    "default_folder": "_runtime",
    "evaluate": "_training",
    "runtime": "_runtime",
    "train": "_training",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"imgsearch.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
