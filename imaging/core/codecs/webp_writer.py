"""WebP files: the colours by libwebp, the alpha and grey masks by our own lossless encoder, in our own container.

libwebp spends most of its time and memory on the alpha plane, and keeps the black of transparent pixels out of the edge
less well than we do. Cutouts of photographs at method 1, libwebp alone against this: 1 megapixel 0.10 s and 0.05 s; 12
megapixels 1.4 s and 0.7 s; at 100 megapixels 22 and 12 bytes of memory a pixel; files and errors of the same size. A
flat shape with a hard edge: 33 dB and 5.4 kB against 48 dB and 3.2 kB.
"""

import ctypes
import io
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.canvas import Bytes, in_mode, in_own_memory, rows_of
from imaging.core.codecs import libwebp, vp8l
from imaging.core.cores import at_once, for_each, in_background
from imaging.core.memory import is_large, trim
from imaging.core.strips import CACHED_PIXELS, strips

Pixels: TypeAlias = npt.NDArray[np.uint32]
# A file of one frame, for a quality and a method. Raises ValueError.
Encode: TypeAlias = Callable[[float, int], bytes]

# (quality, method). Seconds and megabytes for the colours of 12 megapixels at quality 85: method 0 0.4 and 1.7 (but smooth
# images a third larger than at 1), 1 0.5 and 1.6, 2 0.6 and 1.6, 4 1.1 and 1.6.
_SETTINGS = ((85, 1), (85, 2), (50, 2))
# Methods 0 and 1 spend many bits on how small blocks are predicted. The format allows 512 kB for that, too little for some
# 30 megapixels of fine detail; libwebp then refuses. From method 2 on it stays within the limit.
_DETAILED_PIXELS = 30_000_000
# VP8_ENC_ERROR_PARTITION0_OVERFLOW
_OVERFLOW = "encoding error 6"

_ALPHA_FLAG, _PROFILE_FLAG = 0x10, 0x20
_OPAQUE = 255
# The least visible RGBA, read as one number.
_ONE_ALPHA = 1 << 24
# VP8's macroblock, in pixels.
MACROBLOCK = 16
_EIGHT_VISIBLE = 0x01_01_01_01_01_01_01_01


def encode_webp(image: Image.Image, icc_profile: bytes | None, quality: int | None = None) -> bytes:
    """The WebP file of `image`: lossless if L, else (RGB or RGBA) lossy with lossless alpha.

    `quality` is that of the colours, 1-100, None for ours. At most 16383 pixels on either side; `icc_profile` goes with
    colours only. May change the transparent pixels.
    """
    image = in_own_memory(image)
    if image.mode == "L":
        return _container([(b"VP8L", vp8l.encode_image(image))])
    alpha = None
    encode_alpha = None if image.mode == "RGB" or _is_opaque(image) else partial(vp8l.encode_alpha, image)
    if is_large(image.size):
        # Alpha first: the memory of both would be the peak.
        alpha = encode_alpha and at_once(encode_alpha)
        trim()
        encode = _converted(image)
    else:
        # All cores convert. Then one encodes the colours, which takes longer than alpha on another.
        encode = _converted(image)
        alpha = encode_alpha and in_background(encode_alpha)
    colours = (b"VP8 ", _encoded_colours(encode, image.size, quality))
    if alpha is None and not icc_profile:
        return _container([colours])
    flags = (_ALPHA_FLAG if alpha is not None else 0) | (_PROFILE_FLAG if icc_profile else 0)
    header = flags.to_bytes(4, "little") + _uint24(image.width - 1) + _uint24(image.height - 1)
    optional = [(b"ICCP", icc_profile), (b"ALPH", alpha and alpha.result())]
    return _container([(b"VP8X", header), *((name, payload) for name, payload in optional if payload), colours])


def _is_opaque(image: Image.Image) -> bool:
    return all(
        rows_of(image, top, bottom)[..., 3].min() == _OPAQUE for top, bottom in strips(image.size, pixels=CACHED_PIXELS)
    )


def spread_colours(rows: Bytes) -> tuple[int, int]:
    """Give transparent pixels of `rows` (RGBA) the mean colour of their macroblock's visible ones, in place.

    Returns the columns from which on and up to which macroblocks have visible pixels; only between them anything changes,
    and wholly transparent macroblocks become black. Alpha stays.

    Blocks are coded as a whole, and chroma at half the resolution: black behind the edge would bleed into it.
    """
    pixels = rows.view("<u4")[..., 0]
    visible = np.flatnonzero(pixels.max(axis=0) >= _ONE_ALPHA)
    if not len(visible):
        return 0, 0
    left, right = int(visible[0]) // MACROBLOCK * MACROBLOCK, -(-int(visible[-1] + 1) // MACROBLOCK) * MACROBLOCK
    pixels = pixels[:, left:right]
    height, width = (side // MACROBLOCK * MACROBLOCK for side in pixels.shape)
    for part in (pixels[:height, :width], pixels[:, width:], pixels[height:, :width]):
        if part.size:
            # Pixels beyond the image are transparent.
            padding = [(0, -side % MACROBLOCK) for side in part.shape]
            whole = np.pad(part, padding) if np.any(padding) else part
            _spread_in_blocks(whole)
            if whole is not part:
                part[:] = whole[: part.shape[0], : part.shape[1]]
    return left, left + pixels.shape[1]


def _spread_in_blocks(pixels: Pixels) -> None:
    """The same for `pixels` (RGBA, the lowest byte first) of whole macroblocks."""
    visible = pixels >= _ONE_ALPHA
    pixels *= visible
    blocks = pixels.reshape(len(pixels) // MACROBLOCK, MACROBLOCK, -1, MACROBLOCK)
    # Eight pixels at once.
    eights = visible.view(np.uint64).reshape(len(blocks), MACROBLOCK, -1, MACROBLOCK // 8)
    some, all_ = (reduce.reduce(reduce.reduce(eights, axis=1), axis=2) for reduce in (np.bitwise_or, np.bitwise_and))
    rows, columns = np.nonzero((some != 0) & (all_ != _EIGHT_VISIBLE))
    mixed = blocks[rows, :, columns].reshape(len(rows), MACROBLOCK**2)
    samples = mixed.view(np.uint8).reshape(*mixed.shape, 4).astype(np.float32)
    alpha = samples[:, np.newaxis, :, 3]
    # Weighted by alpha.
    means = (alpha @ samples)[:, 0] / alpha.sum(axis=2)
    fill = (means + 0.5).astype(np.uint8).view("<u4") % _ONE_ALPHA
    blocks[rows, :, columns] = np.where(mixed < _ONE_ALPHA, fill, mixed).reshape(-1, MACROBLOCK, MACROBLOCK)


def _converted(image: Image.Image) -> Encode:
    """The encoder of the colours of `image`, whose transparent pixels may change, ready to run."""
    library = libwebp.find_library()
    return _through_pillow(image) if library is None else _directly(library, image)


def _encoded_colours(encode: Encode, size: tuple[int, int], wanted: int | None) -> bytes:
    """The VP8 frame of an image of `size`. `wanted` is the quality, 1-100, None for ours."""
    *first, last = _SETTINGS if size[0] * size[1] < _DETAILED_PIXELS else _SETTINGS[1:]
    for quality, method in first:
        try:
            return _frame(encode(wanted or quality, method))
        except ValueError as error:
            # A method needed more than the 512 kB that the format allows for how blocks are predicted.
            if not str(error).startswith(_OVERFLOW):
                raise
    quality, method = last
    return _frame(encode(min(wanted or quality, quality), method))


def _directly(library: ctypes.CDLL, image: Image.Image) -> Encode:
    planes = libwebp.Planes(image.size)

    def convert(strip: tuple[int, int]) -> None:
        rows = rows_of(image, *strip)
        left, right = spread_colours(rows) if image.mode == "RGBA" else (0, image.width)
        libwebp.convert_rows(library, rows, planes, strip[0], left, right)

    for_each(convert, strips(image.size, multiple=MACROBLOCK, pixels=CACHED_PIXELS))
    return partial(libwebp.encode_colours, library, planes)


def _through_pillow(image: Image.Image) -> Encode:
    if image.mode == "RGBA":
        for top, bottom in strips(image.size, multiple=MACROBLOCK, pixels=CACHED_PIXELS):
            rows = rows_of(image, top, bottom)
            left, right = spread_colours(rows)
            rows[:, :left] = rows[:, right:] = 0

    def encode(quality: float, method: int) -> bytes:
        buffer = io.BytesIO()
        in_mode(image, "RGB").save(buffer, "WEBP", quality=quality, method=method)
        return buffer.getvalue()

    return encode


def _frame(file: bytes) -> bytes:
    """The VP8 frame in a WebP file that holds nothing else."""
    length = int.from_bytes(file[16:20], "little")
    return file[20 : 20 + length]


def _container(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """The RIFF file of `chunks`, (name, payload) each."""
    parts = [b"WEBP"]
    for name, payload in chunks:
        parts += [name, len(payload).to_bytes(4, "little"), payload, b"\x00" * (len(payload) % 2)]
    return b"".join([b"RIFF", sum(map(len, parts)).to_bytes(4, "little"), *parts])


def _uint24(value: int) -> bytes:
    return value.to_bytes(3, "little")
