"""The exceptions, by whose turn it is to act. Their messages are those of the library."""


class Error(Exception):
    """Something that imgsearch cannot do. All its exceptions are of this kind."""


class IndexNotFound(Error):
    """There is no index in the folder."""


class Locked(Error):
    """Another process writes to the index. Wait until it is done."""


class EncoderMismatch(Error):
    """Another encoder made the index, so its codes cannot be compared with those of this one."""


class NewerFormat(Error):
    """A newer version of imgsearch wrote the index."""


class DamagedIndex(Error):
    """What is stored cannot be right."""


class BadImage(Error, ValueError):
    """An image cannot be decoded, or costs more than the limits allow."""


class BadQuery(Error, ValueError):
    """A query, a filter or an array is not what the index takes."""


class BadEncoder(Error):
    """An encoder file cannot be used."""


class NoRuntime(Error):
    """ONNX Runtime is missing or cannot be used. It comes with the package `onnxruntime`."""


class StorageError(Error, OSError):
    """A file or folder cannot be read or written."""


class TrainingError(Error):
    """Training is not possible with these images or options."""


class ForkedProcess(Error):
    """This process was forked from one that had used imgsearch, whose threads it lacks."""
