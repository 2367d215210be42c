"""The steps of composing that need neither options nor a subject: see imaging.core.finishing for their order.

Every step takes ownership of its image: it may change it in place, or release it after making another one. Use only what a
step returns. So at 100 megapixels (400 MB in Pillow) no more than two canvases are alive at any time. For the same reason
the steps that need a copy in another mode work in horizontal strips.
"""

import math

from PIL import Image, ImageChops

from imaging.core.canvas import in_mode, in_own_memory, new_image, release, rows_of, turned
from imaging.core.cores import for_each
from imaging.core.geometry import Box, Size, quarter_turns, rotated_size
from imaging.core.strips import CACHED_PIXELS, strips
from imaging.core.values import RGBA

_TRANSPOSE_BY_QUARTER_TURNS = {
    1: Image.Transpose.ROTATE_90,
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.ROTATE_270,
}

# Bicubic interpolation looks at two pixels on either side.
_BICUBIC_SUPPORT = 2
# Lanczos looks at three (source) pixels on either side.
_LANCZOS_SUPPORT = 3


def apply_matte(image: Image.Image, matte: Image.Image) -> Image.Image:
    """Cut `image` (RGB or RGBA) out along `matte` (L, same size): RGBA. Takes ownership of both images."""
    alpha = in_own_memory(effective_alpha(image, matte))
    cutout = in_mode(image, "RGBA")

    def put(strip: tuple[int, int]) -> None:
        rows_of(cutout, *strip)[..., 3] = rows_of(alpha, *strip)

    for_each(put, strips(cutout.size, pixels=CACHED_PIXELS))
    release(alpha)
    if cutout is not image:
        release(image)
    return cutout


def effective_alpha(image: Image.Image, matte: Image.Image) -> Image.Image:
    """`matte` multiplied by the alpha of `image`. Takes ownership of the matte."""
    if image.mode != "RGBA":
        return matte
    own = image.getchannel("A")
    product = ImageChops.multiply(own, matte)
    release(own)
    release(matte)
    return product


def clear_transparent(image: Image.Image) -> None:
    """Make the pixels of `image` (RGBA, in its own memory) whose alpha is zero 0,0,0,0, in place.

    Otherwise the file would still hold the removed background, invisible, and be bigger for it.
    """

    def clear(strip: tuple[int, int]) -> None:
        # RGBA as one number, the lowest byte first.
        pixels = rows_of(image, *strip).view("<u4")
        pixels *= pixels >= 1 << 24

    for_each(clear, strips(image.size, pixels=CACHED_PIXELS))


def rotate(image: Image.Image, angle: float, expand: bool) -> Image.Image:
    """Rotate `image` (RGBA or L) counter-clockwise by `angle` degrees about its centre, to rotated_size().

    Uncovered canvas is transparent (RGBA) or black (L). Multiples of 90 degrees leave every pixel unchanged; other angles
    are interpolated (bicubic) with premultiplied alpha, so transparent pixels add no colour to the edges.
    """
    size = rotated_size(image.size, angle, expand)
    turns = quarter_turns(angle)
    if turns is None:
        return _rotate_freely(image, angle, size)
    if turns == 0:
        return image
    return _centred(turned(image, _TRANSPOSE_BY_QUARTER_TURNS[turns]), size)


def _centred(image: Image.Image, size: Size) -> Image.Image:
    """`image` cropped and padded to `size` about its centre."""
    if image.size == size:
        return image
    canvas = new_image(image.mode, size)
    canvas.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    release(image)
    return canvas


def _rotate_freely(image: Image.Image, angle: float, size: Size) -> Image.Image:
    source = _premultiplied_with_border(image, _BICUBIC_SUPPORT)
    mode = image.mode
    release(image)
    a, b, c, d, e, f = _rotation(angle, source.size, size)
    canvas = new_image(mode, size)
    for top, bottom in strips(size):
        matrix = (a, b, b * top + c, d, e, e * top + f)
        strip_size = (size[0], bottom - top)
        strip = source.transform(strip_size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
        canvas.paste(strip.convert(mode), (0, top))
    return canvas


def _premultiplied_with_border(image: Image.Image, border: int) -> Image.Image:
    """`image` with premultiplied alpha (L is unchanged) in a transparent border, which smooths its rotated edge."""
    mode = _premultiplied(image.mode)
    canvas = Image.new(mode, (image.width + 2 * border, image.height + 2 * border))
    for top, bottom in strips(image.size):
        canvas.paste(image.crop((0, top, image.width, bottom)).convert(mode), (border, border + top))
    return canvas


def _premultiplied(mode: str) -> str:
    return "RGBa" if mode == "RGBA" else mode


def _rotation(angle: float, source: Size, target: Size) -> tuple[float, float, float, float, float, float]:
    """The affine map (a b c / d e f) from a point of the target to one of the source, the centres coinciding."""
    radians = math.radians(angle)
    cos, sin = math.cos(radians), math.sin(radians)
    x, y = target[0] / 2, target[1] / 2
    return cos, -sin, source[0] / 2 - cos * x + sin * y, sin, cos, source[1] / 2 - sin * x - cos * y


def resize(image: Image.Image, size: Size) -> Image.Image:
    """`image` (RGB, RGBA or L) resampled to `size`; `image` itself if it already has that size. Takes ownership of it."""
    if image.size == size:
        return image
    canvas = new_image(image.mode, size)
    paste_resized(canvas, (0, 0), image, (0, 0, *image.size), size)
    release(image)
    return canvas


def paste_resized(canvas: Image.Image, place: tuple[int, int], image: Image.Image, source: Box, size: Size) -> None:
    """Put the part `source` of `image`, resampled (Lanczos, premultiplied) to `size`, on `canvas` at `place`, in strips.

    Both have the same mode: RGB, RGBA or L. Nothing outside `source` shows.
    """
    left, top, right, bottom = source
    width, scale = right - left, (bottom - top) / size[1]
    for start, end in strips((max(size[0], width), size[1]), stretch=scale):
        if (width, bottom - top) == size:
            rows = image.crop((left, top + start, right, top + end))
        else:
            rows = _resized_rows(image, source, size[0], start * scale, end * scale, end - start)
        canvas.paste(rows, (place[0], place[1] + start))


def _resized_rows(image: Image.Image, source: Box, width: int, top: float, bottom: float, height: int) -> Image.Image:
    """The rows from `top` to `bottom` of `source`, resampled to `width` x `height`, seamless with their neighbours."""
    margin = math.ceil(_LANCZOS_SUPPORT * max(1.0, (bottom - top) / height)) + 1
    first, last = max(0, math.floor(top) - margin), min(source[3] - source[1], math.ceil(bottom) + margin)
    part = source[0], source[1] + first, source[2], source[1] + last
    rows = image.crop(part).convert(_premultiplied(image.mode))
    box = (0, top - first, rows.width, min(bottom - first, rows.height))
    return rows.resize((width, height), Image.Resampling.LANCZOS, box).convert(image.mode)


def fill_background(image: Image.Image, color: RGBA) -> None:
    """Composite `image` (RGBA) over `color`, in place. Where both are translucent, so is the result."""
    # Small strips: Pillow holds Python's lock while it composites, and all other threads would wait for a large one.
    for top, bottom in strips(image.size, pixels=CACHED_PIXELS):
        strip = image.crop((0, top, image.width, bottom))
        image.paste(Image.alpha_composite(Image.new("RGBA", strip.size, color), strip), (0, top))


def without_needless_alpha(image: Image.Image) -> tuple[Image.Image, bool]:
    """`image` (RGBA, RGB or L), as RGB if every pixel is opaque, and whether that is so. Takes ownership of the image."""
    if image.mode != "RGBA":
        return image, True
    is_opaque = image.getchannel("A").getextrema()[0] == 255
    return (without_alpha(image), True) if is_opaque else (image, False)


def without_alpha(image: Image.Image) -> Image.Image:
    """`image` (fully opaque RGBA) as RGB. Takes ownership of the image."""
    return in_mode(image, "RGB")
