"""Large images in memory of their own, which turn from RGB to RGBA and back without a copy.

Pillow stores both alike, with four bytes a pixel, but makes one from the other in new memory: 400 MB at 100 megapixels.
"""

import mmap
from typing import Any

from PIL import Image

PIXEL_BYTES = 4
_MODES = ("RGB", "RGBA")


def mapped_image(memory: mmap.mmap, mode: str, size: tuple[int, int]) -> Image.Image:
    """An image of `mode` (RGB or RGBA) whose pixels, four bytes each, are `memory`; it may be changed in place."""
    # Through the core: `Image.frombuffer` takes RGB for packed bytes, which it copies.
    core: Any = Image.core  # type: ignore[attr-defined]
    image = Image.new(mode, (0, 0))._new(core.map_buffer(memory, size, "raw", 0, (mode, 0, 1)))
    image._memory = memory  # type: ignore[attr-defined]
    return image


def new_image(mode: str, size: tuple[int, int]) -> Image.Image:
    """A black image of `mode` (RGB or RGBA), transparent if RGBA, in memory of its own."""
    return mapped_image(mmap.mmap(-1, size[0] * size[1] * PIXEL_BYTES), mode, size)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """`image` (RGB or RGBA) as `mode`, RGB or RGBA, without a copy where it has memory of its own. Takes the image over.

    Alpha is undefined after RGB became RGBA: it is to be set.
    """
    if image.mode == mode:
        return image
    memory = getattr(image, "_memory", None)
    if memory is not None and image.mode in _MODES:
        return mapped_image(memory, mode, image.size)
    converted = image.convert(mode)
    image.close()
    return converted
