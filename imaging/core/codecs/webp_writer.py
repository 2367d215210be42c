"""WebP files: the colours by libwebp, the alpha and grey masks by our own lossless encoder, in our own container.

libwebp spends most of its time and memory on the alpha plane, and keeps the black of transparent pixels out of the edge
less well than we do. Cutouts of photographs at method 1, libwebp alone against this: 1 megapixel 0.10 s and 0.05 s; 12
megapixels 1.4 s and 0.7 s; at 100 megapixels 22 and 12 bytes of memory a pixel; files and errors of the same size. A
flat shape with a hard edge: 33 dB and 5.4 kB against 48 dB and 3.2 kB.
"""

import io
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.codecs import libwebp, vp8l
from imaging.core.memory import is_large, trim
from imaging.core.strips import CACHED_PIXELS, strips

Pixels: TypeAlias = npt.NDArray[np.uint32]

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
_MACROBLOCK = 16


def encode_webp(image: Image.Image, icc_profile: bytes | None, quality: int | None = None) -> bytes:
    """The WebP file of `image`: lossless if L, else (RGB or RGBA) lossy with lossless alpha.

    `quality` is that of the colours, 1-100, None for ours. At most 16383 pixels on either side; `icc_profile` goes with
    colours only. May change the transparent pixels.
    """
    if image.mode == "L":
        return _container([(b"VP8L", vp8l.encode_image(image))])
    alpha = _encoded_alpha(image)
    colours = (b"VP8 ", _encoded_colours(image, quality))
    if alpha is None and not icc_profile:
        return _container([colours])
    flags = (_ALPHA_FLAG if alpha is not None else 0) | (_PROFILE_FLAG if icc_profile else 0)
    header = flags.to_bytes(4, "little") + _uint24(image.width - 1) + _uint24(image.height - 1)
    optional = [(b"ICCP", icc_profile), (b"ALPH", alpha)]
    return _container([(b"VP8X", header), *((name, payload) for name, payload in optional if payload), colours])


def _encoded_alpha(image: Image.Image) -> bytes | None:
    """The alpha of `image`, which is made opaque; None if it is opaque."""
    if image.mode == "RGB":
        return None
    plane = image.getchannel("A")
    if plane.getextrema() == (_OPAQUE, _OPAQUE):
        return None
    alpha = vp8l.encode_alpha(plane)
    plane.close()
    if is_large(image.size):
        trim()
    spread_colours(image)
    return alpha


def spread_colours(image: Image.Image) -> None:
    """Make `image` (RGBA) opaque, in place: transparent pixels take the mean colour of their macroblock's visible ones.

    Blocks are coded as a whole, and chroma at half the resolution: black behind the edge would bleed into it.
    """
    width = -(-image.width // _MACROBLOCK) * _MACROBLOCK
    for top, bottom in strips(image.size, multiple=_MACROBLOCK, pixels=CACHED_PIXELS):
        height = -(-(bottom - top) // _MACROBLOCK) * _MACROBLOCK
        # Pixels beyond the image are transparent.
        strip = image.crop((0, top, width, top + height))
        pixels = np.frombuffer(bytearray(strip.tobytes()), "<u4").reshape(height, width)
        _spread_in_blocks(pixels)
        strip.frombytes(pixels)
        image.paste(strip.crop((0, 0, image.width, bottom - top)), (0, top))


def _spread_in_blocks(pixels: Pixels) -> None:
    """The same for `pixels` (RGBA, the lowest byte first) of whole macroblocks; wholly transparent ones become black."""
    visible = pixels >= _ONE_ALPHA
    pixels *= visible
    blocks = pixels.reshape(len(pixels) // _MACROBLOCK, _MACROBLOCK, -1, _MACROBLOCK)
    some, all_ = (_by_block(visible, reduce) for reduce in (np.logical_or, np.logical_and))
    rows, columns = np.nonzero(some & ~all_)
    mixed = blocks[rows, :, columns].reshape(len(rows), _MACROBLOCK**2)
    samples = mixed.view(np.uint8).reshape(*mixed.shape, 4).astype(np.float32)
    alpha = samples[:, np.newaxis, :, 3]
    # Weighted by alpha.
    means = (alpha @ samples)[:, 0] / alpha.sum(axis=2)
    fill = (means + 0.5).astype(np.uint8).view("<u4")
    blocks[rows, :, columns] = np.where(mixed < _ONE_ALPHA, fill, mixed).reshape(-1, _MACROBLOCK, _MACROBLOCK)
    pixels |= _OPAQUE * _ONE_ALPHA


def _by_block(pixels: npt.NDArray[np.bool_], reduce: np.ufunc) -> npt.NDArray[np.bool_]:
    lines = reduce.reduce(pixels.reshape(-1, _MACROBLOCK, pixels.shape[1]), axis=1)
    result: npt.NDArray[np.bool_] = reduce.reduce(lines.reshape(len(lines), -1, _MACROBLOCK), axis=2)
    return result


def _encoded_colours(image: Image.Image, wanted: int | None) -> bytes:
    """The VP8 frame of `image` (RGB, or fully opaque RGBA)."""
    *first, last = _SETTINGS if image.width * image.height < _DETAILED_PIXELS else _SETTINGS[1:]
    for quality, method in first:
        try:
            return _frame(_lossy(image, wanted or quality, method))
        except TooDetailed:
            pass
    return _frame(_lossy(image, min(wanted or last[0], last[0]), last[1]))


class TooDetailed(ValueError):
    """A method needed more than the 512 kB that the format allows for how blocks are predicted."""


def _lossy(image: Image.Image, quality: int, method: int) -> bytes:
    library = libwebp.find_library()
    try:
        if library:
            return libwebp.encode_colours(library, image, quality, method)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=method)
        return buffer.getvalue()
    except ValueError as error:
        if str(error).startswith(_OVERFLOW):
            raise TooDetailed from error
        raise


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
