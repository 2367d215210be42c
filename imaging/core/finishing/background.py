"""What goes behind the subject: another image, or the photograph itself, blurred."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from imaging.core.canvas import reduced, release
from imaging.core.compose import resize, rotate
from imaging.core.finishing.spreading import spread
from imaging.core.geometry import Size, quarter_turns
from imaging.core.strips import strips

# The longer side of the small copy that is blurred.
_SIDE = 1024
# What `bg_blur=100` means: a sigma of this share of the longer side.
_MOST_BLUR = 0.06
_BANDS = 3
# What is shrunk has at least this many times the size after averaging.
_REDUCING_GAP = 2.0
_LANCZOS_SUPPORT = 3


@dataclass(frozen=True, slots=True)
class Backdrop:
    """An image (RGB or RGBA) that covers the canvas, and its ICC profile, None for sRGB."""

    image: Image.Image
    icc_profile: bytes | None = None


def blurred(image: Image.Image, matte: Image.Image, blur: float, angle: float) -> Image.Image:
    """The background of `image` (RGB or RGBA), blurred, as RGB, at 1024 pixels or its own smaller size.

    `matte` (L, same size) tells what is subject: its colours are replaced with those about it, so that they do not glow
    around it. `blur` is 0-100. Turned with the image by quarter turns alone: at any other angle it would bare corners.
    """
    factor = max(1, math.ceil(max(image.size) / _SIDE))
    rows = []
    for top, bottom in strips(image.size, multiple=factor):
        box = (0, top, image.width, bottom)
        strip = image.crop(box).convert("RGB")
        # Pillow weights the colours by alpha.
        strip.putalpha(matte.crop(box).point([255 - alpha for alpha in range(256)]))
        rows.append(np.asarray(strip.reduce(factor), np.float32) / np.float32(255))
    pixels = np.concatenate(rows).transpose(2, 0, 1)
    pixels[:_BANDS] *= pixels[_BANDS]
    filled = Image.fromarray((spread(pixels).clip(0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0).copy())
    sigma = blur / 100 * _MOST_BLUR * max(filled.size)
    return rotate(filled.filter(ImageFilter.GaussianBlur(sigma)), 90.0 * (quarter_turns(90 * round(angle / 90)) or 0), True)


def shrunk(image: Image.Image, size: Size) -> Image.Image:
    """`image` no larger than it must be to cover a canvas of `size`. Takes ownership of the image."""
    scale = max(size[0] / image.width, size[1] / image.height)
    if scale >= 1:
        return image
    wanted = max(1, math.ceil(image.width * scale)), max(1, math.ceil(image.height * scale))
    # By averaging first: Lanczos alone would take a second at 100 megapixels.
    if (factor := int(1 / scale / _REDUCING_GAP)) > 1:
        smaller = reduced(image, (factor, factor))
        release(image)
        image = smaller
    return resize(image, wanted)


def lay_on_image(cutout: Image.Image, backdrop: Image.Image) -> None:
    """Composite `cutout` (RGBA) over `backdrop` (RGB or RGBA), in place: centred, and scaled to cover it."""
    scale = min(backdrop.width / cutout.width, backdrop.height / cutout.height)
    left, top = (backdrop.width - cutout.width * scale) / 2, (backdrop.height - cutout.height * scale) / 2
    margin = math.ceil(_LANCZOS_SUPPORT * max(1.0, scale)) + 1
    for start, end in strips((max(cutout.width, backdrop.width), cutout.height), stretch=scale):
        first, last = top + start * scale, top + end * scale
        above, below = max(0, math.floor(first) - margin), min(backdrop.height, math.ceil(last) + margin)
        rows = backdrop.crop((0, above, backdrop.width, below))
        box = (
            max(0.0, left),
            max(0.0, first - above),
            min(backdrop.width, left + cutout.width * scale),
            min(last - above, rows.height),
        )
        layer = rows.resize((cutout.width, end - start), Image.Resampling.LANCZOS, box).convert("RGBA")
        layer.alpha_composite(cutout.crop((0, start, cutout.width, end)))
        cutout.paste(layer, (0, start))
