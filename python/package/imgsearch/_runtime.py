"""Where ONNX Runtime is: in the package `onnxruntime`, which is installed together with this one."""

from __future__ import annotations

import importlib.util
import os

from imgsearch import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def _offer() -> None:
    # Found and not imported: only the library in the package is needed.
    spec = importlib.util.find_spec("onnxruntime")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        _native.offer_runtime_folder(os.path.join(folder, "capi"))


_offer()


def runtime() -> tuple[Path, str]:
    """Loads ONNX Runtime, and returns its file and its version.

    Raises `NoRuntime` if there is none that can be used.
    """
    # Not at the start of the module: the command does not need it.
    from pathlib import Path

    path, version = _native.runtime()
    return Path(path), version


def default_folder() -> Path:
    """Returns the folder of the user's index, which the command uses if none is named."""
    from pathlib import Path

    return Path(_native.default_dir())
