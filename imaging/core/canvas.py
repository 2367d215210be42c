"""Large images in separate memory, which convert between RGB and RGBA without a copy.

Pillow stores both with four bytes a pixel, but converts one to the other in new memory: 400 MB at 100 megapixels.
"""

import mmap
from typing import Any

from PIL import Image

PIXEL_BYTES = 4
_MODES = ("RGB", "RGBA")


def mapped_image(memory: mmap.mmap, mode: str, size: tuple[int, int]) -> Image.Image:
    """An image of `mode` (RGB or RGBA) backed by `memory`, four bytes a pixel; it may be changed in place."""
    # Uses the core: `Image.frombuffer` treats RGB as packed bytes and copies them.
    core: Any = Image.core  # type: ignore[attr-defined]
    image = Image.new(mode, (0, 0))._new(core.map_buffer(memory, size, "raw", 0, (mode, 0, 1)))
    image._memory = memory  # type: ignore[attr-defined]
    return image


def new_image(mode: str, size: tuple[int, int]) -> Image.Image:
    """A black image of `mode` (RGB or RGBA), transparent if RGBA, in separate memory."""
    return mapped_image(mmap.mmap(-1, size[0] * size[1] * PIXEL_BYTES), mode, size)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """`image` (RGB or RGBA) as `mode`, RGB or RGBA, without a copy if it has separate memory. Takes ownership.

    Alpha is undefined after converting RGB to RGBA: the caller must set it.
    """
    if image.mode == mode:
        return image
    memory = getattr(image, "_memory", None)
    if memory is not None and image.mode in _MODES:
        return mapped_image(memory, mode, image.size)
    converted = image.convert(mode)
    image.close()
    return converted
