"""From an uploaded file to upright RGB or RGBA pixels and their colour profile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageFile

from imaging.core.canvas import in_own_memory, new_image, turned
from imaging.core.codecs.apart import decode_apart
from imaging.core.codecs.headers import ImageHeader, walk_through
from imaging.core.codecs.srgb import open_profile
from imaging.core.codecs.walk import Colours, Data, Probe, Walk, content_of, open_parts
from imaging.core.problems import INVALID_IMAGE, CallerGone, ImageRefused
from imaging.core.strips import CACHED_PIXELS, strips
from imaging.core.watch import Watch

# Our own limit on both sides, checked before anything is decoded, is stricter than Pillow's on the area (its warning
# starts at 89 megapixels, we allow 100). Set once, at import, since it is a global of every thread.
Image.MAX_IMAGE_PIXELS = None

# From this estimate on, an image is decoded in a separate process, which takes 0.2 s to start.
APART_SECONDS = 1.0
_BLOCKS = 16
# Pillow's names of the layout of 16-bit samples.
_RGB_16, _RGB_16_SWAPPED = "RGB;16B", "RGB;16L"

_TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Upright pixels, mode RGB or RGBA, in their own memory (imaging.core.canvas), and their ICC profile or None.

    The profile is one for RGB, byte for byte; there is no other metadata.
    """

    pixels: Image.Image
    icc_profile: bytes | None


def decode(file: BinaryIO, header: ImageHeader, watch: Watch | None = None) -> DecodedImage:
    """Decode the image, or the first frame of an animation; raises ImageRefused if it is not what `header` says.

    A slow image is decoded in a separate process, which is killed when `watch` raises: see its `check`.
    """
    watch = watch or Watch()
    with content_of(file) as data:
        walk = walk_through(data)
        if (walk.format, walk.width, walk.height) != (header.format, header.width, header.height):
            raise ImageRefused(INVALID_IMAGE)
        if walk.seconds > APART_SECONDS:
            pixels, profile = decode_apart(data, walk, watch)
        else:
            pixels, profile = decode_here(data, walk, watch, partial(new_image, size=(walk.width, walk.height)))
    return DecodedImage(_upright(pixels, header.orientation), profile)


def decode_here(
    data: Data, walk: Walk, watch: Watch, make_image: Callable[[str], Image.Image]
) -> tuple[Image.Image, bytes | None]:
    """Decode in this process: pixels as stored, not upright, and the profile. Raises as `decode` does.

    `make_image` makes the image of a mode (RGB or RGBA) for pixels that need no conversion.
    """
    with _refusing_failures(watch):
        parts = walk.parts if walk.unpack is None else walk.unpack(data)
        source, raw_mode = _load(*open_parts(data, parts, watch.check), walk, make_image)
        if walk.probe is not None:
            _refuse_missing(source, _load(*open_parts(data, walk.probe.parts, watch.check), walk, None)[0], walk.probe)
        colours = Colours(source.info.get("icc_profile")) if walk.colours is None else walk.colours(data)
        profile = _usable_profile(colours.profile)
        pixels = _to_rgb(source, raw_mode, profile)
        # An RGB profile does not apply to CMYK samples: browsers drop it.
        is_kept = _colour_space(profile) == b"RGB " and source.mode != "CMYK"
        del source
        if colours.to_srgb is not None:
            colours.to_srgb(pixels)
        pixels = _on_canvas(pixels, walk)
    pixels.info = {}
    return pixels, profile if is_kept else None


def _refuse_missing(image: Image.Image, other: Image.Image, probe: Probe) -> None:
    """Raise ImageRefused if more of `image` is missing than may be: where it differs from `other`."""
    boxes = list(_differences(image, other))
    if not boxes:
        return
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    # Colours are smoothed across a block's edge. An image of only a few blocks must be more than half complete.
    in_corner = left >= image.width - probe.width - 2 and top >= image.height - probe.height - 2
    if not in_corner or (right - left) * (bottom - top) * 2 > image.width * image.height:
        raise ImageRefused(INVALID_IMAGE)


def _differences(image: Image.Image, other: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """The box of what differs in each strip of the two."""
    for top, bottom in strips(image.size):
        box = (0, top, image.width, bottom)
        if found := ImageChops.difference(image.crop(box), other.crop(box)).getbbox():
            yield found[0], top + found[1], found[2], top + found[3]


@contextmanager
def _refusing_failures(watch: Watch) -> Iterator[None]:
    try:
        yield
    except (ImageRefused, CallerGone, MemoryError):
        raise
    except Exception as error:
        # A worker's time limit can also raise here, at any point.
        watch.check()
        # Broken data makes Pillow's decoders raise almost anything: OSError, SyntaxError, ValueError, struct.error,
        # EOFError, zlib.error, OverflowError, AttributeError ... Only Pillow runs in here, and reads nothing but this file.
        raise ImageRefused(INVALID_IMAGE) from error


def _load(file: BinaryIO, size: int, walk: Walk, make_image: Callable[[str], Image.Image] | None) -> tuple[Image.Image, str]:
    """The decoded image in its own mode, and the layout of the samples in the file, which the mode may not preserve."""
    source = Image.open(file, formats=[walk.format])
    if source.size != walk.decoded_size:
        raise ImageRefused(INVALID_IMAGE)
    raw_mode = _raw_mode(source)
    # Where libjpeg cannot go on with what it has, Pillow joins block to block: with few of them that stays linear.
    source.decodermaxblock = max(source.decodermaxblock, size // _BLOCKS)
    fits = walk.frame is None and source.mode in ("RGB", "RGBA")
    target = make_image(source.mode) if make_image is not None and fits else None
    if target is not None:
        source.im = target.im
    source.load()
    if source.size != walk.decoded_size:
        raise ImageRefused(INVALID_IMAGE)
    if target is not None and source.im is target.im:
        image = target
        image.info = source.info
    else:
        # The same pixels without the file and its decoder: WebP's keeps two canvases of the image's size.
        image = source._new(source.im)
    if raw_mode == _RGB_16 and "transparency" in image.info:
        _make_transparent(image, _low_bytes(file, walk.format), image.info.pop("transparency"))
    return image, raw_mode


def _low_bytes(file: BinaryIO, format: str) -> Image.Image:
    """The low bytes of the 16-bit samples in `file`, which Pillow discards, as 8-bit samples."""
    file.seek(0)
    source = Image.open(file, formats=[format])
    # Pretend that the low byte comes first: Pillow keeps the other one.
    source.tile = [tile._replace(args=_RGB_16_SWAPPED) for tile in source.tile]
    source.load()
    return source._new(source.im)


def _make_transparent(high: Image.Image, low: Image.Image, color: tuple[int, int, int]) -> None:
    """Give `high`, the high bytes of 16-bit RGB, an alpha: 0 where they and the `low` bytes are those of `color`."""
    alpha = Image.new("L", high.size)
    high_color, low_color = np.divmod(np.array(color), 256)
    for top, bottom in strips(high.size, pixels=CACHED_PIXELS):
        box = (0, top, high.width, bottom)
        is_same = (np.asarray(high.crop(box)) == high_color) & (np.asarray(low.crop(box)) == low_color)
        alpha.paste(Image.fromarray(np.where(is_same.all(axis=-1), 0, 255).astype(np.uint8)), (0, top))
    high.putalpha(alpha)


def _on_canvas(pixels: Image.Image, walk: Walk) -> Image.Image:
    """The whole image, transparent but for the decoded `pixels`."""
    if walk.frame is None:
        return pixels
    canvas = Image.new("RGBA", (walk.width, walk.height))
    canvas.paste(pixels, walk.frame[:2])
    return canvas


def _raw_mode(source: ImageFile.ImageFile) -> str:
    """For example `L;4` or `RGB;16B`; empty where the decoder has none (WebP)."""
    if not source.tile:
        return ""
    args = source.tile[0].args
    return str(args[0]) if isinstance(args, tuple) and args else str(args)


# Profiles that a JPEG can hold are below 16 MB, real ones below 4 MB.
_MAX_PROFILE_BYTES = 8 * 1024 * 1024
_PROFILE_HEADER_BYTES = 128


def _usable_profile(profile: object) -> bytes | None:
    if isinstance(profile, bytes) and _PROFILE_HEADER_BYTES <= len(profile) <= _MAX_PROFILE_BYTES:
        return profile
    return None


def _colour_space(profile: bytes | None) -> bytes:
    """The signature of the colour space that `profile` describes: `RGB `, `GRAY`, `CMYK` ... (ICC.1:2022, 7.2.6)."""
    return profile[16:20] if profile else b""


def _to_rgb(image: Image.Image, raw_mode: str, profile: bytes | None) -> Image.Image:
    """`image` as RGB, or RGBA if it has any transparency, even if unused."""
    if image.mode in ("1", "L", "LA", "I", "I;16"):
        return _grey_to_rgb(image, raw_mode, profile)
    if image.mode == "CMYK":
        return _through_profile(image, profile, b"CMYK")
    if image.mode == "RGB" and "transparency" in image.info:
        # The transparent colour is stored in 16 bits; only as many as a sample has count.
        image.info["transparency"] = tuple(sample & 0xFF for sample in image.info["transparency"])
        return image.convert("RGBA")
    if image.mode in ("RGB", "RGBA"):
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _grey_to_rgb(image: Image.Image, raw_mode: str, profile: bytes | None) -> Image.Image:
    alpha = _grey_alpha(image, raw_mode)
    grey = image.getchannel("L") if image.mode == "LA" else _eight_bit_grey(image)
    pixels = _through_profile(grey, profile, b"GRAY")
    if alpha is not None:
        pixels.putalpha(alpha)
    return pixels


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    if image.mode not in ("I", "I;16"):
        return image.convert("L")
    # convert("L") would clip at 255 values that go up to 65535.
    return Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))


# PNG gives the transparent grey in the file's own samples, which Pillow has scaled up to 8 bits.
_GREY_SCALE = {"L;2": 85, "L;4": 17}


def _grey_alpha(image: Image.Image, raw_mode: str) -> Image.Image | None:
    """The alpha of a grey image: its alpha band, or derived from its one transparent grey; None if it has neither."""
    if image.mode == "LA":
        return image.getchannel("A")
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return None
    if image.mode in ("I", "I;16"):
        return Image.fromarray(np.where(np.asarray(image) == transparent, 0, 255).astype(np.uint8))
    value = transparent * _GREY_SCALE.get(raw_mode, 1) & 0xFF
    return image.convert("L").point([0 if grey == value else 255 for grey in range(256)])


def _through_profile(image: Image.Image, profile: bytes | None, space: bytes) -> Image.Image:
    """`image` (L or CMYK) converted to sRGB with its profile if that is one of `space`, else with the plain formula."""
    if profile is not None and _colour_space(profile) == space:
        try:
            return _to_srgb(image, profile)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # Treat a broken profile as none.
    return image.convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    source = open_profile(profile)
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if converted is None:
        raise ValueError("the profile could not be applied")
    return converted


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _TRANSPOSE_BY_ORIENTATION.get(orientation)
    return in_own_memory(image) if method is None else turned(image, method)
