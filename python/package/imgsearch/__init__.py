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

from imgsearch import _native
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
