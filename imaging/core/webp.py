"""WebP files: the colours by libwebp, the alpha and grey masks by our own lossless encoder, in our own container.

libwebp spends most of its time and memory on the alpha plane, and keeps the black of transparent pixels out of the edge
less well than we do. Cutouts of photographs at method 1, libwebp alone against this: 1 megapixel 0.10 s and 0.05 s; 12
megapixels 1.4 s and 0.7 s; at 100 megapixels 22 and 12 bytes of memory a pixel; files and errors of the same size. A
flat shape with a hard edge: 33 dB and 5.4 kB against 48 dB and 3.2 kB.
"""

import io

from PIL import Image

from imaging.core import vp8l
from imaging.core.memory import is_large, trim
from imaging.core.strips import strips

# (quality, method). Seconds and megabytes for the colours of 12 megapixels at quality 85: method 0 0.4 and 1.7 (but
# smooth pictures a third larger than at 1), 1 0.5 and 1.6, 2 0.6 and 1.6, 4 1.1 and 1.6.
_SETTINGS = ((85, 1), (85, 2), (50, 2))
# Methods 0 and 1 spend no end of bits on how small blocks are predicted, and the 512 kB that the format has for that
# are too few for some 30 megapixels of fine detail; libwebp then refuses. From method 2 on it keeps within them.
_DETAILED_PIXELS = 30_000_000
# VP8_ENC_ERROR_PARTITION0_OVERFLOW
_OVERFLOW = "encoding error 6"

_ALPHA_FLAG, _PROFILE_FLAG = 0x10, 0x20
_OPAQUE = 255
# Of VP8, in pixels.
_MACROBLOCK = 16


def encode_webp(image: Image.Image, icc_profile: bytes | None) -> bytes:
    """The WebP file of `image`: lossless if L, else (RGB or RGBA) lossy with lossless alpha.

    At most 16383 pixels on either side; `icc_profile` goes with colours only. May change the transparent pixels.
    """
    if image.mode == "L":
        return _container([(b"VP8L", vp8l.encode_image(image))])
    return _lossy(image, icc_profile) if image.mode == "RGB" else _cutout(image, icc_profile)


def _cutout(image: Image.Image, icc_profile: bytes | None) -> bytes:
    plane = image.getchannel("A")
    if plane.getextrema() == (_OPAQUE, _OPAQUE):
        return _lossy(image, icc_profile)
    alpha = vp8l.encode_alpha(plane)
    plane.close()
    if is_large(image.size):
        trim()
    spread_colours(image)
    colours = _frame(_lossy(image, None))
    flags = _ALPHA_FLAG | (_PROFILE_FLAG if icc_profile else 0)
    header = flags.to_bytes(4, "little") + _uint24(image.width - 1) + _uint24(image.height - 1)
    profile = [(b"ICCP", icc_profile)] if icc_profile else []
    return _container([(b"VP8X", header), *profile, (b"ALPH", alpha), (b"VP8 ", colours)])


def spread_colours(image: Image.Image) -> None:
    """Make `image` (RGBA) opaque, in place: transparent pixels take the mean colour of their macroblock's visible ones.

    Blocks are coded as a whole, and chroma at half the resolution: black behind the edge would bleed into it.
    """
    for top, bottom in strips(image.size, multiple=_MACROBLOCK):
        strip = image.crop((0, top, image.width, bottom))
        transparent = strip.getchannel("A").point([_OPAQUE] + [0] * 255)
        # Premultiplied, so that the mean is weighted by alpha.
        means = strip.convert("RGBa").reduce(_MACROBLOCK).convert("RGBA").convert("RGB")
        blocks = means.resize((means.width * _MACROBLOCK, means.height * _MACROBLOCK), Image.Resampling.NEAREST)
        colours = strip.convert("RGB")
        colours.paste(blocks.crop((0, 0, *strip.size)), mask=transparent)
        image.paste(colours, (0, top))


def _lossy(image: Image.Image, icc_profile: bytes | None) -> bytes:
    *first, last = _SETTINGS if image.width * image.height < _DETAILED_PIXELS else _SETTINGS[1:]
    for quality, method in first:
        try:
            return _lossy_at(image, icc_profile, quality, method)
        except ValueError as error:
            if str(error) != _OVERFLOW:
                raise
    return _lossy_at(image, icc_profile, *last)


def _lossy_at(image: Image.Image, icc_profile: bytes | None, quality: int, method: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=method, icc_profile=icc_profile)
    return buffer.getvalue()


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
