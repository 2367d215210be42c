"""Shadows of the subject: `drop`, as of a sheet of paper, and `contact`, as of a thing that stands on the ground.

Both are drawn on a small copy of the alpha and enlarged in strips: a blurred shadow has no detail to lose.
"""

from PIL import Image, ImageChops, ImageFilter

from imaging.core.finishing.arranging import find_subject
from imaging.core.geometry import Box
from imaging.core.options import CutoutOptions
from imaging.core.strips import CACHED_PIXELS, strips
from imaging.core.values import RGBA, Length, in_pixels

# Of the subject's longer side, in %.
_DROP_BLUR, _CONTACT_BLUR = 2.5, 5.0
_DROP_OFFSET: tuple[Length, Length] = ((1.0, "%"), (2.5, "%"))
_NO_OFFSET: tuple[Length, Length] = ((0.0, "%"), (0.0, "%"))
_DROP_OPACITY, _CONTACT_OPACITY = 45.0, 70.0
# The part of the subject's height, from its lowest point, in which it can meet the ground.
_GROUND = 0.12
# A contact shadow is three of these: its share of the blur, its weight, and how flat it lies.
_LAYERS = ((0.12, 0.55), (0.4, 0.4), (1.0, 0.3))
_FLATNESS = 0.35
# The longer side of the small copy, unless a small blur needs a larger one.
_SIDE = 1024
_SOLID = [255 if alpha >= 128 else 0 for alpha in range(256)]


def add_shadow(image: Image.Image, options: CutoutOptions, color: RGBA) -> None:
    """Put the shadow that `options` ask for behind `image` (RGBA), in place. `color` is in the image's colour space.

    The canvas does not grow: what would lie outside of it is cut off. Nothing happens without a subject.
    """
    box = find_subject(image) if options.shadow != "none" else None
    if box is None:
        return
    length = max(box[2] - box[0], box[3] - box[1])
    is_drop = options.shadow == "drop"
    blur = in_pixels(options.shadow_blur or (_DROP_BLUR if is_drop else _CONTACT_BLUR, "%"), length)
    x, y = options.shadow_offset or (_DROP_OFFSET if is_drop else _NO_OFFSET)
    offset = in_pixels(x, length), in_pixels(y, length)
    opacity = options.shadow_opacity
    if opacity is None:
        opacity = _DROP_OPACITY if is_drop else _CONTACT_OPACITY
    draw = _drop if is_drop else _contact
    shade, factor = draw(image, box, blur, offset, opacity / 100 * color[3] / 255)
    _lay_behind(image, shade, factor, color)


def _reduced_alpha(image: Image.Image, blur: float) -> tuple[Image.Image, int]:
    """The alpha of `image`, and how many times smaller it is: by no more than a quarter of the blur allows."""
    factor = max(1, min(-(-max(image.size) // _SIDE), int(blur / 4) or 1))
    small = Image.new("L", (-(-image.width // factor), -(-image.height // factor)))
    for top, bottom in strips(image.size, multiple=factor):
        strip = image.crop((0, top, image.width, bottom)).getchannel("A")
        small.paste(strip.reduce(factor), (0, top // factor))
    return small, factor


def _drop(image: Image.Image, box: Box, blur: float, offset: tuple[float, float], opacity: float) -> tuple[Image.Image, int]:
    """The blurred alpha, moved by `offset`."""
    small, factor = _reduced_alpha(image, blur)
    moved = _moved(small, (offset[0] / factor, offset[1] / factor))
    blurred = moved.filter(ImageFilter.GaussianBlur(blur / factor))
    return blurred.point([round(alpha * opacity) for alpha in range(256)]), factor


def _moved(alpha: Image.Image, offset: tuple[float, float]) -> Image.Image:
    x, y = round(offset[0]), round(offset[1])
    moved = Image.new("L", alpha.size)
    moved.paste(alpha, (x, y))
    return moved


def _contact(
    image: Image.Image, box: Box, blur: float, offset: tuple[float, float], opacity: float
) -> tuple[Image.Image, int]:
    """The line on which the subject stands, blurred flat, narrowly and strongly as well as widely and faintly."""
    small, factor = _reduced_alpha(image, blur * _LAYERS[0][0])
    line = _moved(_ground_line(small, box, factor), (offset[0] / factor, offset[1] / factor))
    shade = Image.new("L", small.size)
    for share, weight in _LAYERS:
        sigma = max(0.5, share * blur / factor)
        layer = line.filter(ImageFilter.MaxFilter(_odd(sigma * _FLATNESS)))
        layer = layer.filter(ImageFilter.GaussianBlur((sigma, max(0.4, sigma * _FLATNESS))))
        peak = layer.getextrema()[1] or 1
        assert isinstance(peak, int)  # noqa: S101 - of an image in mode L
        strength = weight * opacity * 255 / peak
        layer = layer.point([min(255, round(value * strength)) for value in range(256)])
        # As of several translucent layers.
        shade = ImageChops.screen(shade, layer)
    return shade, factor


def _odd(size: float) -> int:
    return 2 * min(20, max(1, round(size / 2))) + 1


def _ground_line(alpha: Image.Image, box: Box, factor: int) -> Image.Image:
    """The lowest solid pixel of each column, where it is among the lowest of the subject: L, 255 or 0."""
    solid = alpha.point(_SOLID)
    bottom, height = -(-box[3] // factor), (box[3] - box[1]) / factor
    top = max(0, round(bottom - max(1.0, height * _GROUND)))
    line = Image.new("L", alpha.size)
    # A pixel of the lowest zone with nothing solid below it.
    zone = solid.crop((0, top, alpha.width, alpha.height))
    below = Image.new("L", zone.size)
    below.paste(zone.crop((0, 1, zone.width, zone.height)), (0, 0))
    line.paste(ImageChops.subtract(zone, below), (0, top))
    return line


def _lay_behind(image: Image.Image, shade: Image.Image, factor: int, color: RGBA) -> None:
    """Composite `image` over `color` with the alpha `shade` (L, `factor` times smaller), in place, strip by strip."""
    for top, bottom in strips(image.size, pixels=CACHED_PIXELS):
        # The last pixels of `shade` may stand for fewer.
        box = (0.0, top / factor, image.width / factor, bottom / factor)
        part = shade.resize((image.width, bottom - top), Image.Resampling.BILINEAR, box)
        if part.getbbox() is None:
            continue
        layer = Image.new("RGBA", part.size, (*color[:3], 0))
        layer.putalpha(part)
        image.paste(Image.alpha_composite(layer, image.crop((0, top, image.width, bottom))), (0, top))
