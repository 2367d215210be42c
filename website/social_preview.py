"""The image that other sites show with a link to this one: 1200 x 630 pixels, with the operator's name, logo and colour.

`social/picture.jpg` is the left half of the sample `astronaut.jpg`, and the right half of what POST /rmbg makes of it, on a
checkerboard. `social/DejaVuSans-Bold.ttf` has the letters of the Latin, Greek, Cyrillic and Arabic alphabets; other ones
come from the fonts of the machine, if it has any.
"""

import base64
import io
from pathlib import Path

import resvg_py
from django.template.loader import render_to_string
from PIL import Image, ImageFont

from lib.brand import Brand

WIDTH, HEIGHT = 1200, 630
_PARTS = Path(__file__).parent / "social"
_FONT = _PARTS / "DejaVuSans-Bold.ttf"
# Pixels: where the brand's line begins, how far logo and name may reach, the logo's height and the space after it.
_START, _END, _LOGO_HEIGHT, _GAP = 76, 610, 46, 16
_LOGO_WIDTH, _NAME_SIZE = 200, 34


def draw_preview(brand: Brand) -> bytes:
    """The image, as JPEG."""
    drawn = resvg_py.svg_to_bytes(svg_string=_svg(brand), font_files=[str(_FONT)], width=WIDTH, height=HEIGHT)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(drawn)).convert("RGB").save(buffer, "JPEG", quality=72, optimize=True, progressive=True)
    return buffer.getvalue()


def _svg(brand: Brand) -> str:
    logo_width = min(_LOGO_WIDTH, round(_LOGO_HEIGHT * brand.logo.ratio))
    name_x = _START + logo_width + _GAP
    length = ImageFont.truetype(_FONT, _NAME_SIZE).getlength(brand.name)
    logo = io.BytesIO()
    # Twice as large, because it is drawn between the pixels.
    brand.logo.drawn(2 * logo_width, 2 * _LOGO_HEIGHT).save(logo, "PNG")
    facts = {
        "brand": brand,
        "logo": _data_url(logo.getvalue(), "image/png"),
        "logo_width": logo_width,
        "name_x": name_x,
        "name_size": round(min(1.0, (_END - name_x) / length) * _NAME_SIZE),
        "picture": _data_url((_PARTS / "picture.jpg").read_bytes(), "image/jpeg"),
    }
    return render_to_string("social.svg", facts)


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
