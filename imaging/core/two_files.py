"""A cutout as a zip of two files: its colours as JPEG and its alpha as grey PNG, a fifth of the size of one PNG.

Programs lay the second over the first as they are, so the colours at the edge must not mix with those of the background.
"""

import io
import shutil
import zipfile
from tempfile import TemporaryFile
from typing import BinaryIO, cast

import numpy as np
from PIL import Image

from imaging.core.canvas import in_own_memory, new_image, rows_of
from imaging.core.codecs.encode import encode
from imaging.core.compose import resize
from imaging.core.memory import is_large
from imaging.core.strips import CACHED_PIXELS, strips

ZIP_TYPE = "application/zip"
COLOURS, ALPHA = "color.jpg", "alpha.png"
# A JPEG whose colours have half the resolution codes blocks of this many pixels, each without its neighbours.
_BLOCK = 16
_QUALITY = 95


def encode_zip(image: Image.Image, photo: Image.Image | None, icc_profile: bytes | None) -> BinaryIO:
    """The zip of `image` (RGBA, or RGB where nothing is transparent), open at its start, on disk if it is large.

    Its entries are stored, in this order: `color.jpg`, with `icc_profile`, and `alpha.png`. Where the alpha is 0, the first
    shows `photo` (RGB or RGBA, resized to the image), or black without one. May change `image`.
    """
    image = in_own_memory(image)
    alpha = image.getchannel("A") if image.mode == "RGBA" else Image.new("L", image.size, 255)
    colours = _opaque(image, photo) if image.mode == "RGBA" else image
    file: BinaryIO = cast(BinaryIO, TemporaryFile()) if is_large(image.size) else io.BytesIO()  # noqa: SIM115 - returned
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, content in ((COLOURS, _jpeg(colours, icc_profile)), (ALPHA, encode(alpha, "png", None))):
                # The same bytes at any time of day.
                with content, archive.open(zipfile.ZipInfo(name), "w", force_zip64=False) as entry:
                    shutil.copyfileobj(content, entry)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _jpeg(image: Image.Image, icc_profile: bytes | None) -> BinaryIO:
    file: BinaryIO = cast(BinaryIO, TemporaryFile()) if is_large(image.size) else io.BytesIO()  # noqa: SIM115 - returned
    image.info = {}
    image.save(file, "JPEG", quality=_QUALITY, subsampling="4:4:4", icc_profile=icc_profile)
    file.seek(0)
    return file


def _opaque(image: Image.Image, photo: Image.Image | None) -> Image.Image:
    """The colours of `image` (RGBA, in its own memory) as RGB, with something to show where it is transparent.

    In a block with an edge that is the mean colour of the block's visible pixels: a JPEG mixes the colours within a block.
    """
    behind = None if photo is None else in_own_memory(resize(photo, image.size))
    result = new_image("RGB", image.size)
    for top, bottom in strips(image.size, multiple=_BLOCK, pixels=CACHED_PIXELS):
        rows = rows_of(image, top, bottom)
        alpha = rows[..., 3]
        colours = rows_of(result, top, bottom)
        colours[..., :3] = 0 if behind is None else rows_of(behind, top, bottom)[..., :3]
        _fill_blocks(colours, rows, alpha)
        visible = alpha > 0
        for band in range(3):
            np.copyto(colours[..., band], rows[..., band], where=visible)
    return result


def _fill_blocks(colours: np.ndarray, rows: np.ndarray, alpha: np.ndarray) -> None:
    """Put the mean of the visible pixels of each block that has transparent ones too into `colours`, in place."""
    down, across = (np.arange(0, side, _BLOCK) for side in alpha.shape)
    sums = np.add.reduceat(np.add.reduceat(alpha.astype(np.uint32), down), across, axis=1)
    has_hole = np.minimum.reduceat(np.minimum.reduceat(alpha, down), across, axis=1) == 0
    mixed = (sums > 0) & has_hole
    if not mixed.any():
        return
    where = np.repeat(np.repeat(mixed, _BLOCK, axis=0), _BLOCK, axis=1)[: alpha.shape[0], : alpha.shape[1]]
    for band in range(3):
        weighted = rows[..., band].astype(np.uint32) * alpha
        total = np.add.reduceat(np.add.reduceat(weighted, down), across, axis=1)
        mean = (total / np.maximum(sums, 1)).astype(np.uint8)
        spread = np.repeat(np.repeat(mean, _BLOCK, axis=0), _BLOCK, axis=1)[: alpha.shape[0], : alpha.shape[1]]
        np.copyto(colours[..., band], spread, where=where)
