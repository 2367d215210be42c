"""The options of an image. A new one is one row of `Options`: everything else reads that table."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal, TypedDict, get_args, get_origin, get_type_hints

from rembg_client.errors import InvalidInput

Format = Literal["webp", "png", "jpeg", "jpg", "bmp"]


class Options(TypedDict, total=False):
    """Keyword arguments of `remove_background` and of batches, flags of `rmbg remove`, arguments of the MCP tool.

    Names, types and defaults are those of the API. What is left out, or is None, is not sent.
    """

    format: Annotated[Format | None, "format of the result; the server's default is webp"]
    w: Annotated[int | None, "width of the result in pixels, 1 to 10000"]
    h: Annotated[int | None, "height of the result in pixels, 1 to 10000; with a width, the result fits inside both"]
    exact_resize: Annotated[bool | None, "with width and height: exactly that size, even if it distorts"]
    mask: Annotated[bool | None, "deliver the matte alone, as a grey image: white is the subject"]
    bg_color: Annotated[str | None, "colour behind the subject: #RGB, #RGBA, #RRGGBB, #RRGGBBAA or a CSS name"]
    angle: Annotated[float | None, "degrees to turn counter-clockwise, -360 to 360"]
    expand: Annotated[bool | None, "grow the canvas so that a turned image is not cropped; the server's default is true"]
    model: Annotated[str | None, "model that makes the matte: a name of `rmbg models`, or pinned: name@version"]
    detail: Annotated[
        Literal["auto", "fast"] | None, "look a second time where that helps, or once; the server's default is auto"
    ]
    decontaminate: Annotated[bool | None, "give edge pixels the subject's own colour; the server's default is true"]
    crop: Annotated[bool | None, "cut to the box of the subject"]
    crop_margin: Annotated[str | None, "with crop: room around the subject, 1, 2 or 4 values, px or %"]
    roi: Annotated[str | None, "region of interest: left, top, right, bottom, px or %; all outside is background"]
    scale: Annotated[str | None, "size of the subject, 10 to 100 % of the canvas"]
    position: Annotated[str | None, "center, original, or one or two percentages"]
    fit: Annotated[Literal["inside", "exact", "pad"] | None, "with width and height: how the result fits into them"]
    padding: Annotated[str | None, "with fit pad: room at the sides of the canvas, 1, 2 or 4 values, px or %"]
    snap: Annotated[bool | None, "a subject that the image's edge cuts off stays at that edge"]
    bg_image_url: Annotated[str | None, "address of an image to lay behind the subject"]
    bg_blur: Annotated[float | None, "the image's own background, blurred by 0 to 100, behind the subject"]
    shadow: Annotated[Literal["none", "drop", "contact"] | None, "shadow of the subject"]
    shadow_opacity: Annotated[float | None, "0 to 100"]
    shadow_color: Annotated[str | None, "as bg_color"]
    shadow_blur: Annotated[str | None, "px, or % of the subject's longer side"]
    shadow_offset: Annotated[str | None, "to the right and down, px or % of the subject's longer side"]
    preset: Annotated[str | None, "the options of a marketplace, such as amazon; an option next to it wins"]
    quality: Annotated[int | None, "1 to 100, of jpeg and webp"]
    dpi: Annotated[int | None, "written into png and jpeg"]


class BatchOutput(Options, total=False):
    """One of several results of each image of a batch: options in place of those of the batch.

    None takes an option of the batch away, `bg_image` too. `name` goes into the file's name: a-z, 0-9, `-` and `_`. `model`
    and `roi` are the same for all outputs, and so refused here.
    """

    name: str | None
    bg_image: None


class Option:
    """One row of the table. `declared` is its type, None included; `kind` str, int, float or bool.

    `choices` is empty where any value may be right.
    """

    def __init__(self, name: str, annotation: Any) -> None:
        self.name = name
        self.declared, self.help = get_args(annotation)
        kind = next(part for part in get_args(self.declared) if part is not type(None))
        self.choices: tuple[str, ...] = get_args(kind) if get_origin(kind) is Literal else ()
        self.kind: type = str if self.choices else kind


def _rows() -> Mapping[str, Option]:
    # `int | None` is evaluated as it is from Python 3.10 on.
    hints = get_type_hints(Options, vars(sys.modules[__name__]), include_extras=True)
    return {name: Option(name, hint) for name, hint in hints.items()}


ROWS = _rows()


def form_fields(options: Mapping[str, Any]) -> dict[str, str]:
    """The form's text fields. The server judges values; only an option that does not exist raises InvalidInput."""
    _check_names(options, ROWS)
    return {name: _text(value) for name, value in options.items() if value is not None}


def outputs_field(outputs: Iterable[BatchOutput]) -> str:
    """The field `outputs` of a batch, as JSON. The server judges values; only an option that does not exist raises
    InvalidInput."""
    rows = [dict(output) for output in outputs]
    for row in rows:
        _check_names(row, [*ROWS, "name", "bg_image"])
    return json.dumps(rows, separators=(",", ":"))


def _check_names(options: Iterable[str], known: Collection[str]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InvalidInput(f"There is no option {unknown[0]!r}. Options: {', '.join(known)}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
