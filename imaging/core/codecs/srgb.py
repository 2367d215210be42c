"""Converts between sRGB, in which callers give colours, and an image's own profile."""

import io
from itertools import chain, product

import numpy as np
from PIL import Image, ImageCms

from imaging.core.values import RGBA

# Browsers use this intent.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
# By how much rounding alone may change a colour. Most profiles describe sRGB, each with other curves.
_ROUNDING = 1
_STEPS = range(0, 256, 51)
_SAMPLES = Image.frombytes("RGB", (len(_STEPS) ** 3, 1), bytes(chain.from_iterable(product(_STEPS, repeat=3))))

_TABLE_START, _TABLE_ENTRY_BYTES, _TABLE_ENTRIES = 132, 12, 100
_FLOAT_TAGS = frozenset(tag + digit for tag in (b"D2B", b"B2D") for digit in (b"0", b"1", b"2", b"3"))


def color_in_profile(color: RGBA, icc_profile: bytes | None) -> RGBA:
    """The colour in `icc_profile` that looks like `color` (sRGB), or the nearest one that the profile has.

    Unchanged without a profile, or with one that littlecms cannot use in this direction. Below 1 ms.
    """
    if icc_profile is None:
        return color
    pixel = Image.new("RGB", (1, 1), color[:3])
    try:
        # Optimising pays from thousands of pixels on.
        transform = ImageCms.buildTransform(
            _srgb(), open_profile(icc_profile), "RGB", "RGB", _INTENT, ImageCms.Flags.NOOPTIMIZE
        )
        converted = transform.apply(pixel)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return color
    if _is_same(pixel, converted):
        return color
    red, green, blue = converted.tobytes()
    return red, green, blue, color[3]


def convert_colours(image: Image.Image, source: bytes | None, target: bytes | None) -> None:
    """Convert the colours of `image` (RGB or RGBA) from one profile to another, None for sRGB, in place.

    No change between profiles of the same colours, or with a broken one. 15 to 20 ms a megapixel.
    """
    if source == target:
        return
    try:
        before, after = (_srgb() if profile is None else open_profile(profile) for profile in (source, target))
        samples = ImageCms.buildTransform(before, after, "RGB", "RGB", _INTENT).apply(_SAMPLES)
        if not _is_same(_SAMPLES, samples):
            ImageCms.buildTransform(before, after, image.mode, image.mode, _INTENT).apply_in_place(image)
    except (ImageCms.PyCMSError, OSError, ValueError):
        pass


def open_profile(icc_profile: bytes) -> ImageCms.ImageCmsProfile:
    """`icc_profile` for littlecms, without its tags for floating point (ICC.1:2022, 9.2.4 and 9.2.16). Raises OSError.

    Each of them is a program of any length, which littlecms runs for each of 36,000 points when it makes a transform: 5 s
    for 160 kB. Browsers do not read them either.
    """
    data = bytearray(icc_profile)
    for at in range(_TABLE_START, min(len(data), _TABLE_START + _TABLE_ENTRIES * _TABLE_ENTRY_BYTES), _TABLE_ENTRY_BYTES):
        if bytes(data[at : at + 4]) in _FLOAT_TAGS:
            data[at : at + 4] = data[at : at + 4].lower()
    return ImageCms.ImageCmsProfile(io.BytesIO(data))


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _is_same(one: Image.Image, other: Image.Image) -> bool:
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max()) <= _ROUNDING
