"""ICC profiles made up for the tests (ICC.1:2022)."""

import io
import struct

import numpy as np
from PIL import Image, ImageCms

# Primaries adapted to D50, from the profiles of these names.
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE_RGB = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
D50 = (0.9642, 1.0, 0.8249)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def icc_profile(*tags: tuple[bytes, bytes], space: bytes = b"RGB ") -> bytes:
    """A display profile of these tags, each with its signature."""
    table, content, start = b"", b"", 132 + 12 * len(tags)
    for signature, data in tags:
        table += signature + struct.pack(">2I", start + len(content), len(data))
        content += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s12x4s", start + len(content), b"none", 0x04300000, b"mntr", space, b"XYZ ", b"acsp")
    return head.ljust(68, b"\0") + _fixed(*D50) + bytes(48) + struct.pack(">I", len(tags)) + table + content


def rgb_profile(primaries: tuple[tuple[float, ...], ...], *tags: tuple[bytes, bytes], gamma: float = 2.2) -> bytes:
    """A profile of three primaries (XYZ) and one gamma, plus further tags."""
    colours = [(b"%cXYZ" % band, b"XYZ \0\0\0\0" + _fixed(*xyz)) for band, xyz in zip(b"rgb", primaries, strict=True)]
    curves = [(b"%cTRC" % band, _gamma(gamma)) for band in b"rgb"]
    return icc_profile((b"wtpt", b"XYZ \0\0\0\0" + _fixed(*D50)), *colours, *curves, *tags)


def grey_profile(gamma: float, *tags: tuple[bytes, bytes]) -> bytes:
    """A grey profile."""
    return icc_profile((b"wtpt", b"XYZ \0\0\0\0" + _fixed(*D50)), (b"kTRC", _gamma(gamma)), *tags, space=b"GRAY")


def program(channels: int, value: float) -> bytes:
    """A floating-point tag (multiProcessElementsType): one matrix, which maps everything to the same colour."""
    matrix = b"matf\0\0\0\0" + struct.pack(">2H", channels, 3) + struct.pack(">f", 0) * 3 * channels
    matrix += struct.pack(">3f", value, value, value)
    return b"mpet\0\0\0\0" + struct.pack(">2H3I", channels, 3, 1, 24, len(matrix)) + matrix


def seen(image: Image.Image) -> np.ndarray:
    """The colours of a delivered image as shown on a screen: sRGB, 0-255."""
    rgb, profile = image.convert("RGB"), image.info.get("icc_profile")
    if profile:
        source, screen = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        shown = ImageCms.profileToProfile(rgb, source, screen, ImageCms.Intent.RELATIVE_COLORIMETRIC)
        assert shown is not None
        rgb = shown
    return np.asarray(rgb, int)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))
