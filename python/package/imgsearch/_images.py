"""Pictures in the kinds that Python has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

from imgsearch._errors import BadQuery

if TYPE_CHECKING:
    import numpy.typing as npt
    import PIL.Image

Picture: TypeAlias = (
    "str | os.PathLike[str] | bytes | bytearray | memoryview | PIL.Image.Image | npt.NDArray[Any]"
)
"""A path, the bytes of a file, a Pillow image, or an array of uint8: `[height, width]`, `[height, width, 3]` (RGB) or
`[height, width, 4]` (RGB and alpha)."""

Plain: TypeAlias = "str | os.PathLike[str] | bytes | tuple[int, int, int, bytes]"


def plain(picture: object) -> Plain:
    """Returns a picture as the native part takes it: a path, the bytes of a file, or its width, height and number of
    channels with its pixels."""
    if isinstance(picture, (str, os.PathLike)):
        return picture
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, (bytearray, memoryview)):
        return bytes(picture)
    # Not at the start of the module: the command does not need it, and loading it takes longer than a query.
    import numpy as np

    if isinstance(picture, np.ndarray):
        return of_array(picture)
    if hasattr(picture, "convert") and hasattr(picture, "tobytes") and hasattr(picture, "mode"):
        return of_pillow(picture)
    if hasattr(picture, "__array__"):
        return of_array(np.asarray(picture))
    raise BadQuery(
        f"a picture is a path, bytes, a Pillow image or an array, not {type(picture).__name__}"
    )


def of_pillow(image: Any) -> Plain:
    """Returns the pixels of a Pillow image, upright as its EXIF data say."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    mode = "RGBA" if has_alpha else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    return image.width, image.height, len(mode), image.tobytes()


def of_array(array: npt.NDArray[Any]) -> Plain:
    """Returns the pixels of an array."""
    import numpy as np

    if array.dtype != np.uint8:
        hint = ""
        if array.dtype.kind == "f":
            hint = ": values from 0 to 1 become (array * 255).round().astype(numpy.uint8)"
        raise BadQuery(f"an array of pixels holds uint8, not {array.dtype}{hint}")
    shape = array.shape
    is_grey = array.ndim == 2
    if not is_grey and not (array.ndim == 3 and shape[2] in (1, 3, 4)):
        hint = ""
        if array.ndim == 3 and shape[0] in (1, 3, 4):
            hint = ": the channels come last, as array.transpose(1, 2, 0) puts them"
        elif array.ndim == 4:
            hint = ": pass the images one by one"
        raise BadQuery(
            "an array of pixels has the shape [height, width], [height, width, 3] or [height, width, 4], "
            f"not {list(shape)}{hint}"
        )
    if 0 in shape:
        raise BadQuery(f"an array of the shape {list(shape)} has no pixels")
    # Copies what is not contiguous.
    return shape[1], shape[0], 1 if is_grey else shape[2], array.tobytes()
