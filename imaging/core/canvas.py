"""Images in memory that we allocate: numpy sees it without a copy, and RGB becomes RGBA and back without one.

Pillow stores both with four bytes a pixel, but converts one to the other in new memory, and copies for numpy. A copy of 12
megapixels takes half as long as decoding a JPEG of that size.
"""

import math
import mmap
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.cores import for_each
from imaging.core.strips import CACHED_PIXELS, strips

Bytes: TypeAlias = npt.NDArray[np.uint8]

PIXEL_BYTES = 4
_COLOURED = ("RGB", "RGBA")
# Those that make columns of rows, and those after which the first row is the last row or column.
_SIDEWAYS = Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270, Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE
_FROM_THE_END = (
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
)


def mapped_image(memory: mmap.mmap, mode: str, size: tuple[int, int]) -> Image.Image:
    """An image of `mode` backed by `memory`; it may be changed in place.

    RGB and RGBA have four bytes a pixel, L has one.
    """
    # Uses the core: `Image.frombuffer` treats RGB as packed bytes and copies them.
    core: Any = Image.core  # type: ignore[attr-defined]
    image = Image.new(mode, (0, 0))._new(core.map_buffer(memory, size, "raw", 0, (mode, 0, 1)))
    image._memory = memory  # type: ignore[attr-defined]
    return image


def new_memory(size: int) -> mmap.mmap:
    """`size` bytes of zeros, which go back to the system when the last object that uses them is gone.

    In huge pages where the system has them: 48 MB are ready in 7 instead of 29 ms. Raises MemoryError.
    """
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # A kernel without them refuses.
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def new_image(mode: str, size: tuple[int, int]) -> Image.Image:
    """A black image of `mode` (RGB, RGBA or L), transparent if RGBA, in new_memory()."""
    return mapped_image(new_memory(size[0] * size[1] * (PIXEL_BYTES if mode in _COLOURED else 1)), mode, size)


def in_own_memory(image: Image.Image) -> Image.Image:
    """`image` (RGB, RGBA or L) in new_memory(), which rows_of() needs; `image` itself if it is there already."""
    if hasattr(image, "_memory"):
        return image
    image.load()
    return copied(image)


def copied(image: Image.Image) -> Image.Image:
    """A copy of `image` (RGB, RGBA or L, loaded) in new_memory()."""
    copy = new_image(image.mode, image.size)
    # The core's own paste is one copy; Pillow's would look at modes and palettes first.
    copy.im.paste(image.im, (0, 0, *image.size))
    return copy


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """`image` (RGB or RGBA) as `mode`, RGB or RGBA, in its own memory. Takes ownership.

    Alpha is undefined after converting RGB to RGBA: the caller must set it.
    """
    image = in_own_memory(image)
    return image if image.mode == mode else mapped_image(image._memory, mode, image.size)  # type: ignore[attr-defined]


def release(image: Image.Image) -> None:
    """Give back the memory of `image` now, although others may still refer to it; no one may use it any more.

    Unless another image shares it: see in_mode().
    """
    image.close()
    vars(image).pop("_memory", None)


def rows_of(image: Image.Image, top: int, bottom: int) -> Bytes:
    """A view of the rows from `top` to `bottom` of `image`, which is in its own memory; it may be changed through it.

    (rows, width, 4) if RGB or RGBA, where an RGB one's fourth byte is undefined; (rows, width) if L.
    """
    shape = (bottom - top, image.width, PIXEL_BYTES) if image.mode in _COLOURED else (bottom - top, image.width)
    row_bytes = math.prod(shape[1:])
    memory = image._memory  # type: ignore[attr-defined]
    return np.frombuffer(memory, np.uint8, (bottom - top) * row_bytes, top * row_bytes).reshape(shape)


def turned(image: Image.Image, method: Image.Transpose) -> Image.Image:
    """`image` (RGB, RGBA or L) turned or flipped, in new_memory(). Takes ownership."""
    result = new_image(image.mode, image.size[::-1] if method in _SIDEWAYS else image.size)

    def turn(strip: tuple[int, int]) -> None:
        top, bottom = strip
        rows = image.crop((0, top, image.width, bottom)).transpose(method)
        start = image.height - bottom if method in _FROM_THE_END else top
        result.paste(rows, (start, 0) if method in _SIDEWAYS else (0, start))

    for_each(turn, strips(image.size, pixels=CACHED_PIXELS))
    release(image)
    return result


def reduced(image: Image.Image, factors: tuple[int, int]) -> Image.Image:
    """`image` (RGB or RGBA) with the mean of each block of `factors`, columns and rows, as one pixel."""
    columns, rows = factors
    result = Image.new(image.mode, (-(-image.width // columns), -(-image.height // rows)))

    def reduce(strip: tuple[int, int]) -> None:
        top, bottom = strip
        result.paste(image.reduce(factors, (0, top, image.width, bottom)), (0, top // rows))

    for_each(reduce, strips(image.size, multiple=rows, pixels=CACHED_PIXELS))
    return result
