"""Finds the subject, and puts it on its canvas."""

import numpy as np
from PIL import Image

from imaging.core.canvas import in_own_memory, new_image, release, rows_of
from imaging.core.compose import paste_resized
from imaging.core.cores import for_each
from imaging.core.finishing.placement import Placement
from imaging.core.geometry import Box
from imaging.core.strips import CACHED_PIXELS, strips

# 4 % of 255. Fainter alpha, which mattes have far from any subject, does not count.
VISIBLE_ALPHA = 10


def find_subject(image: Image.Image) -> Box | None:
    """The box around all pixels of `image` (RGBA, or L for a matte) that are at least VISIBLE_ALPHA opaque; None without."""
    image = in_own_memory(image)
    rows, columns = np.zeros(image.height, bool), np.zeros(image.width, bool)

    def mark(strip: tuple[int, int]) -> None:
        pixels, least = rows_of(image, *strip), VISIBLE_ALPHA
        if image.mode == "RGBA":
            # As one number, the lowest byte first.
            pixels, least = pixels.view("<u4")[..., 0], VISIBLE_ALPHA << 24
        rows[slice(*strip)] = pixels.max(axis=1) >= least
        # Only ever set, so that strips at once do not matter.
        columns[pixels.max(axis=0) >= least] = True

    for_each(mark, strips(image.size, pixels=CACHED_PIXELS))
    down, across = np.flatnonzero(rows), np.flatnonzero(columns)
    return (int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1) if len(down) else None


def arrange(image: Image.Image, placement: Placement) -> Image.Image:
    """`image` (RGBA or L) as `placement` has it. Takes ownership of the image."""
    whole = 0, 0, *image.size
    if (placement.source, placement.size, placement.canvas) == (whole, image.size, image.size):
        return image
    canvas = new_image(image.mode, placement.canvas)
    paste_resized(canvas, placement.place, image, placement.source, placement.size)
    release(image)
    return canvas
