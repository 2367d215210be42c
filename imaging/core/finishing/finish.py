"""From pixels and matte to the delivered image: the order of all steps.

1. `roi` bounds what the model sees, and 2. edge colours are cleaned: both in imaging.core.pipeline, before these:
3. cut out along the matte, 4. rotate, 5. find the subject, 6. `crop`, or `scale` and `position`, then `w`, `h` and `fit`,
7. shadow, 8. background image or blurred photograph, 9. `bg_color`, or white where the format has no alpha.
"""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from imaging.core.canvas import release
from imaging.core.codecs.srgb import color_in_profile, convert_colours
from imaging.core.compose import apply_matte, clear_transparent, effective_alpha, fill_background, rotate, without_alpha
from imaging.core.finishing.arranging import arrange, find_subject
from imaging.core.finishing.background import Backdrop, lay_on_image
from imaging.core.finishing.placement import place
from imaging.core.finishing.shadow import add_shadow
from imaging.core.geometry import Box, Size
from imaging.core.options import CutoutOptions
from imaging.core.problems import ImageRefused, Problem
from imaging.core.values import MAX_SIDE, RGBA

WHITE: RGBA = (255, 255, 255, 255)
_FORMATS_WITHOUT_ALPHA = ("jpeg", "bmp")
_FORMATS_WITHOUT_PROFILE = ("bmp",)
# WebP's encoder chooses the colours of transparent pixels (see imaging.core.codecs.webp_writer).
_FORMATS_THAT_KEEP_HIDDEN_COLOURS = ("png", "auto")
_OPAQUE = 255


@dataclass(frozen=True, slots=True)
class Finished:
    """The delivered image, and the subject's box: see imaging.core.finishing.placement.Placement."""

    image: Image.Image
    subject: Box


def finish_cutout(
    image: Image.Image,
    matte: Image.Image,
    options: CutoutOptions,
    icc_profile: bytes | None = None,
    make_backdrop: Callable[[Size], Backdrop] | None = None,
) -> Finished:
    """Cut `image` (RGB or RGBA) out along `matte` (L, same size) and finish it as `options` ask.

    The result is RGBA, or RGB where nothing can be transparent, in the colours of `icc_profile`, like the image; in sRGB if
    its format has no room for a profile. `make_backdrop` makes what goes behind it, for a canvas of a size. It is called
    when the memory of the uncropped image is free. Takes ownership of both images. Raises ImageRefused if a side would be
    too long, and what `make_backdrop` raises.
    """
    cutout, subject = _arranged(apply_matte(image, matte), options)
    if options.format in _FORMATS_WITHOUT_PROFILE:
        convert_colours(cutout, icc_profile, None)
        icc_profile = None
    add_shadow(cutout, options, color_in_profile(options.shadow_color, icc_profile))
    if make_backdrop is not None:
        backdrop = make_backdrop(cutout.size)
        convert_colours(backdrop.image, backdrop.icc_profile, icc_profile)
        lay_on_image(cutout, backdrop.image)
        if backdrop.image.mode == "RGB":
            return Finished(without_alpha(cutout), subject)
    for color in _background_layers(options):
        fill_background(cutout, color_in_profile(color, icc_profile))
        if color[3] == _OPAQUE:
            return Finished(without_alpha(cutout), subject)
    if options.format in _FORMATS_THAT_KEEP_HIDDEN_COLOURS:
        clear_transparent(cutout)
    return Finished(cutout, subject)


def finish_mask(image: Image.Image, matte: Image.Image, options: CutoutOptions) -> Finished:
    """The alpha that finish_cutout would produce, without a shadow, as a grey image (L). Takes ownership of both images."""
    mask = effective_alpha(image, matte)
    release(image)
    return Finished(*_arranged(mask, options))


def _arranged(image: Image.Image, options: CutoutOptions) -> tuple[Image.Image, Box]:
    """`image` (RGBA or L), rotated and on its canvas, and the subject's box. Takes ownership of the image."""
    image = rotate(image, options.angle, options.expand)
    size = image.size
    placement = place(size, find_subject(image), options)
    for field, side, length in zip(("w", "h"), ("width", "height"), placement.canvas, strict=True):
        # A rotation alone may pass MAX_SIDE: see check_sizes.
        if options.crop and length > max(MAX_SIDE, *size):
            raise ImageRefused(_too_long(field, side, length))
    return arrange(image, placement), placement.subject


def _too_long(field: str, side: str, length: int) -> Problem:
    message = (
        f"The cropped image's {side} would be {length}px, which exceeds the maximum allowed {side} of {MAX_SIDE}px."
        f" Send a smaller '{field}', or a smaller 'crop_margin'."
    )
    return Problem(field, "out_of_range", message)


def _background_layers(options: CutoutOptions) -> list[RGBA]:
    """The layers behind the cutout, the nearest first; only the last can be opaque."""
    layers = [] if options.background is None else [options.background]
    if options.format in _FORMATS_WITHOUT_ALPHA:
        layers.append(WHITE)
    return layers
