"""libwebp's encoder for lossy colours, called directly instead of through Pillow.

Pillow copies an image into libwebp as 32-bit ARGB, which libwebp then converts to YUV. Here it is converted strip by strip:
the output is identical, and 4 bytes of memory a pixel are saved. At 100 megapixels that is 400 MB.

The structures are those of libwebp's encode.h, which may only grow within a major version of its ABI; libwebp checks that.
"""

import ctypes
from ctypes import POINTER, Structure, byref, c_float, c_int, c_size_t, c_uint8, c_uint32, c_void_p
from functools import cache

from PIL import Image

from imaging.core.strips import strips

_ABI_VERSION = 0x0210
# The preset that WebPConfigInit() takes, and the quality that is overwritten.
_PRESET_DEFAULT, _ANY_QUALITY = 0, 75.0
# Chroma has half the resolution: a strip with an odd number of rows would share its last row of chroma with the next one.
_CHROMA_ROWS = 2


class _Config(Structure):
    _fields_ = [
        ("lossless", c_int),
        ("quality", c_float),
        ("method", c_int),
        ("others", c_int * 23),
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


def encode_colours(library: ctypes.CDLL, image: Image.Image, quality: float, method: int) -> bytes:
    """The lossy WebP file of `image` (RGB, or fully opaque RGBA), `quality` 0-100, `method` 0-6.

    Raises EncodingFailed, and MemoryError.
    """
    config = _Config()
    library.WebPConfigInitInternal(byref(config), _PRESET_DEFAULT, quality, _ABI_VERSION)
    config.method = method
    picture, writer = _new_picture(library, image.size), _Writer()
    library.WebPMemoryWriterInit(byref(writer))
    try:
        _check(library.WebPPictureAlloc(byref(picture)), picture)
        for top, bottom in strips(image.size, multiple=_CHROMA_ROWS):
            _import_rows(library, picture, image, top, bottom)
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


def _import_rows(library: ctypes.CDLL, picture: _Picture, image: Image.Image, top: int, bottom: int) -> None:
    """Convert the rows from `top` (even) to `bottom` of `image`, and put them into the planes of `picture`."""
    rows = image.crop((0, top, image.width, bottom)).tobytes("raw", "RGBX" if image.mode == "RGB" else "RGBA")
    strip = _new_picture(library, (image.width, bottom - top))
    try:
        _check(library.WebPPictureImportRGBX(byref(strip), rows, 4 * image.width), strip)
        # The width is the same, and so are the strides.
        ctypes.memmove(picture.y + top * picture.y_stride, strip.y, (bottom - top) * picture.y_stride)
        first, count = top // _CHROMA_ROWS, -(-(bottom - top) // _CHROMA_ROWS)
        for whole, part in ((picture.u, strip.u), (picture.v, strip.v)):
            ctypes.memmove(whole + first * picture.uv_stride, part, count * picture.uv_stride)
    finally:
        library.WebPPictureFree(byref(strip))


# VP8_ENC_ERROR_OUT_OF_MEMORY and VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY
_OUT_OF_MEMORY = (1, 2)


def _check(succeeded: int, picture: _Picture) -> None:
    if succeeded:
        return
    if picture.error_code in _OUT_OF_MEMORY:
        raise MemoryError
    raise EncodingFailed(f"encoding error {picture.error_code}")
