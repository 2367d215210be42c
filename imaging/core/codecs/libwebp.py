"""libwebp's encoder for lossy colours, called directly instead of through Pillow.

Pillow copies an image into libwebp as 32-bit ARGB, which libwebp then converts to YUV. Here it is converted in strips, and
only what can be seen of it: the output is identical, without 4 bytes of memory a pixel. At 100 megapixels that is 400 MB.

The structures are those of libwebp's encode.h, which may only grow within a major version of its ABI; libwebp checks that.
"""

import ctypes
import math
from ctypes import POINTER, Structure, byref, c_float, c_int, c_size_t, c_uint8, c_uint32, c_void_p
from functools import cache

import numpy as np

from imaging.core.canvas import Bytes, new_memory
from imaging.core.cores import cores_in_use

_ABI_VERSION = 0x0210
# The preset that WebPConfigInit() takes, and the quality that is overwritten.
_PRESET_DEFAULT, _ANY_QUALITY = 0, 75.0
# Chroma has half the resolution.
_CHROMA = 2
_BLACK_Y, _BLACK_UV = 16, 128


class _Config(Structure):
    _fields_ = [
        ("lossless", c_int),
        ("quality", c_float),
        ("method", c_int),
        ("others", c_int * 18),
        ("thread_level", c_int),
        ("more", c_int * 4),
        # What a later version appends.
        ("reserve", c_int * 32),
    ]


class _Picture(Structure):
    _fields_ = [
        ("use_argb", c_int),
        ("colorspace", c_int),
        ("width", c_int),
        ("height", c_int),
        ("y", c_void_p),
        ("u", c_void_p),
        ("v", c_void_p),
        ("y_stride", c_int),
        ("uv_stride", c_int),
        ("a", c_void_p),
        ("a_stride", c_int),
        ("pad1", c_uint32 * 2),
        ("argb", c_void_p),
        ("argb_stride", c_int),
        ("pad2", c_uint32 * 3),
        ("writer", c_void_p),
        ("custom_ptr", c_void_p),
        ("extra_info_type", c_int),
        ("extra_info", c_void_p),
        ("stats", c_void_p),
        ("error_code", c_int),
        ("progress_hook", c_void_p),
        ("user_data", c_void_p),
        ("pad3", c_uint32 * 3),
        ("pad4", c_void_p),
        ("pad5", c_void_p),
        ("pad6", c_uint32 * 8),
        ("memory", c_void_p),
        ("memory_argb", c_void_p),
        ("pad7", c_void_p * 2),
        ("reserve", c_void_p * 16),
    ]


class _Writer(Structure):
    _fields_ = [
        ("mem", POINTER(c_uint8)),
        ("size", c_size_t),
        ("max_size", c_size_t),
        ("pad", c_uint32 * 1),
        ("reserve", c_void_p * 4),
    ]


class EncodingFailed(ValueError):
    """libwebp refused: `encoding error` and its WebPEncodingError, as Pillow words it."""


@cache
def find_library() -> ctypes.CDLL | None:
    """The libwebp bundled with Pillow; None if its functions cannot be called."""
    try:
        from PIL import _webp

        # A symbol look-up in a library also searches the libraries it is linked with.
        library = ctypes.CDLL(_webp.__file__)
        config, picture = _Config(), _Picture()
        library.WebPConfigInitInternal.argtypes = [c_void_p, c_int, c_float, c_int]
        library.WebPPictureImportRGBX.argtypes = [c_void_p, c_void_p, c_int]
        for function in (
            library.WebPPictureAlloc, library.WebPPictureFree, library.WebPMemoryWriterInit, library.WebPMemoryWriterClear,
            library.WebPMemoryWrite,
        ):  # fmt: skip
            function.argtypes = [c_void_p]
        library.WebPEncode.argtypes = [c_void_p, c_void_p]
        is_same_abi = library.WebPConfigInitInternal(
            byref(config), _PRESET_DEFAULT, _ANY_QUALITY, _ABI_VERSION
        ) and library.WebPPictureInitInternal(byref(picture), c_int(_ABI_VERSION))
    except (ImportError, OSError, AttributeError):
        return None
    return library if is_same_abi else None


class Planes:
    """Room for the colours of an image of `size` as YUV 4:2:0, which convert_rows() fills."""

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = self.size = size
        luma, chroma = (height, width), (-(-height // _CHROMA), -(-width // _CHROMA))
        starts = 0, math.prod(luma), math.prod(luma) + math.prod(chroma)
        memory = new_memory(starts[2] + math.prod(chroma))
        self.y, self.u, self.v = (
            np.frombuffer(memory, np.uint8, math.prod(shape), start).reshape(shape)
            for start, shape in zip(starts, (luma, chroma, chroma), strict=True)
        )


def convert_rows(library: ctypes.CDLL, rows: Bytes, planes: Planes, top: int, left: int, right: int) -> None:
    """Put the colours of `rows` (rows, width, 4), the first of which is `top`, into `planes`.

    Outside of the columns from `left` to `right` they are black. `top` and `left` are even, and so is the number of rows, if
    more follow.
    """
    down = slice(top, top + len(rows)), slice(top // _CHROMA, -(-(top + len(rows)) // _CHROMA))
    across = slice(left, right), slice(left // _CHROMA, -(-right // _CHROMA))
    for plane, half, black in ((planes.y, 0, _BLACK_Y), (planes.u, 1, _BLACK_UV), (planes.v, 1, _BLACK_UV)):
        plane[down[half], : across[half].start] = black
        plane[down[half], across[half].stop :] = black
    if left == right:
        return
    strip = _new_picture(library, (right - left, len(rows)))
    try:
        _check(library.WebPPictureImportRGBX(byref(strip), rows[:, left:].ctypes.data, rows.strides[0]), strip)
        for plane, half, address, stride in (
            (planes.y, 0, strip.y, strip.y_stride),
            (planes.u, 1, strip.u, strip.uv_stride),
            (planes.v, 1, strip.v, strip.uv_stride),
        ):
            target = plane[down[half], across[half]]
            source = (c_uint8 * (len(target) * stride)).from_address(address)
            target[:] = np.frombuffer(source, np.uint8).reshape(-1, stride)[:, : target.shape[1]]
    finally:
        library.WebPPictureFree(byref(strip))


def encode_colours(library: ctypes.CDLL, planes: Planes, quality: float, method: int) -> bytes:
    """The lossy WebP file of `planes`, `quality` 0-100, `method` 0-6.

    Raises EncodingFailed, and MemoryError.
    """
    config = _Config()
    library.WebPConfigInitInternal(byref(config), _PRESET_DEFAULT, quality, _ABI_VERSION)
    config.method = method
    # The file is the same.
    config.thread_level = int(cores_in_use() > 1)
    picture, writer = _new_picture(library, planes.size), _Writer()
    picture.y, picture.u, picture.v = (plane.ctypes.data for plane in (planes.y, planes.u, planes.v))
    picture.y_stride, picture.uv_stride = planes.y.shape[1], planes.u.shape[1]
    library.WebPMemoryWriterInit(byref(writer))
    try:
        picture.writer = ctypes.cast(library.WebPMemoryWrite, c_void_p)
        picture.custom_ptr = ctypes.addressof(writer)
        _check(library.WebPEncode(byref(config), byref(picture)), picture)
        return ctypes.string_at(writer.mem, writer.size)
    finally:
        library.WebPMemoryWriterClear(byref(writer))
        library.WebPPictureFree(byref(picture))


def _new_picture(library: ctypes.CDLL, size: tuple[int, int]) -> _Picture:
    picture = _Picture()
    library.WebPPictureInitInternal(byref(picture), c_int(_ABI_VERSION))
    picture.width, picture.height = size
    return picture


# VP8_ENC_ERROR_OUT_OF_MEMORY and VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY
_OUT_OF_MEMORY = (1, 2)


def _check(succeeded: int, picture: _Picture) -> None:
    if succeeded:
        return
    if picture.error_code in _OUT_OF_MEMORY:
        raise MemoryError
    raise EncodingFailed(f"encoding error {picture.error_code}")
