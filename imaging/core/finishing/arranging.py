"""Finds the subject, and puts it on its canvas."""

from PIL import Image

from imaging.core.canvas import new_image, release
from imaging.core.compose import paste_resized
from imaging.core.finishing.placement import Placement
from imaging.core.geometry import Box
from imaging.core.strips import strips

# 4 % of 255. Fainter alpha, which mattes have far from any subject, does not count.
VISIBLE_ALPHA = 10
_IS_VISIBLE = [255 if alpha >= VISIBLE_ALPHA else 0 for alpha in range(256)]


def find_subject(image: Image.Image) -> Box | None:
    """The box around all pixels of `image` (RGBA, or L for a matte) that are at least VISIBLE_ALPHA opaque; None without."""
    boxes = []
    for top, bottom in strips(image.size):
        alpha = image.crop((0, top, image.width, bottom)).getchannel("A" if image.mode == "RGBA" else "L")
        if box := alpha.point(_IS_VISIBLE).getbbox():
            boxes.append((box[0], top + box[1], box[2], top + box[3]))
    if not boxes:
        return None
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def arrange(image: Image.Image, placement: Placement) -> Image.Image:
    """`image` (RGBA or L) as `placement` has it. Takes ownership of the image."""
    whole = 0, 0, *image.size
    if (placement.source, placement.size, placement.canvas) == (whole, image.size, image.size):
        return image
    canvas = new_image(image.mode, placement.canvas)
    paste_resized(canvas, placement.place, image, placement.source, placement.size)
    release(image)
    return canvas
