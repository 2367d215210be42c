"""The options of one cutout, read from the caller's text fields."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from imaging.core.presets import with_preset
from imaging.core.problems import Problem
from imaging.core.values import (
    MAX_SIDE,
    RGBA,
    InvalidValue,
    Length,
    Sides,
    choice,
    in_pixels,
    integer,
    lengths,
    number,
    parse_angle,
    parse_boolean,
    parse_color,
    parse_side,
    shortened,
)

FileFormat: TypeAlias = Literal["webp", "png", "jpeg", "bmp"]
# `auto` is a PNG if the finished image has a transparent pixel, else a JPEG; `zip` holds colours and alpha as two files.
OutputFormat: TypeAlias = FileFormat | Literal["auto", "zip"]
Detail: TypeAlias = Literal["auto", "fast"]
Shadow: TypeAlias = Literal["none", "drop", "contact"]
# Percentages across and down: 0 is flush left or at the top, 100 flush right or at the bottom.
Position: TypeAlias = tuple[float, float]

NO_SIDES: Sides = ((0.0, "px"), (0.0, "px"), (0.0, "px"), (0.0, "px"))
MIN_SCALE = 10
MAX_MARGIN_PIXELS, MAX_MARGIN_PERCENT = 500, 50
MAX_PADDING_PERCENT = 45
MAX_DPI = 2400

_T = TypeVar("_T")


class UnknownOption(Exception):
    """A newer release has options that this one lacks. Ignoring one would deliver another image than was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoutOptions:
    """What the caller wants delivered.

    `width` and `height` are 1-10000 px or None (unset); `background` is straight (not premultiplied) RGBA, each 0-255;
    `angle` is in degrees, counter-clockwise, -360 to 360. `model` is a name, or a name@version; "" is the default.
    `detail`: "auto" looks a second time where that helps, "fast" once (see imaging.core.matting.looks).

    `crop_margin` and `padding` are four lengths, in the order of CSS; `roi` is left, top, right and bottom. `scale` is
    10-100 % of the canvas. `position` is None where it was not asked for, or `original`. `pad` fits into a canvas of
    `width` and `height`. `background_image`: another image goes behind the subject. `background_blur` is 0-100, 0 for none.
    `shadow_blur` and `shadow_offset` are None where the subject's size decides; their % are of its longer side. `quality`
    is 1-100, `dpi` 1-2400, None for the encoder's. `whole_size` is the size in pixels that the whole image has before a
    `crop`; None for its own.
    """

    format: OutputFormat = "webp"
    width: int | None = None
    height: int | None = None
    exact_resize: bool = False
    mask: bool = False
    background: RGBA | None = None
    angle: float = 0.0
    expand: bool = True
    model: str = ""
    detail: Detail = "auto"
    decontaminate: bool = True
    crop: bool = False
    crop_margin: Sides = NO_SIDES
    roi: Sides | None = None
    scale: float | None = None
    position: Position | Literal["original"] | None = None
    pad: bool = False
    padding: Sides = NO_SIDES
    snap: bool = False
    background_image: bool = False
    background_blur: float = 0.0
    shadow: Shadow = "none"
    shadow_opacity: float | None = None
    shadow_color: RGBA = (0, 0, 0, 255)
    shadow_blur: Length | None = None
    shadow_offset: tuple[Length, Length] | None = None
    quality: int | None = None
    dpi: int | None = None
    whole_size: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """The options as values that JSON has, without those that are at their default.

        So a process of the release before, which lacks the newest options, can read what does not use them.
        """
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value != defaults[name]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "CutoutOptions":
        """The options that `to_json` wrote. Raises UnknownOption for one that a newer release wrote."""
        if unknown := values.keys() - {field.name for field in dataclasses.fields(cls)}:
            raise UnknownOption(", ".join(sorted(unknown)))
        return cls(**{name: _with_tuples(value) for name, value in values.items()})


def _with_tuples(value: Any) -> Any:
    """JSON has lists alone."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def parse_options(fields: Mapping[str, str], files: Collection[str] = ()) -> tuple[CutoutOptions, list[Problem]]:
    """Read the options from `fields`; every problem is found in one pass, in the order of the contract's table.

    `files` are the names of the file fields that were sent. White space around a value is ignored, an empty value is unset,
    unknown fields are ignored. Never raises, whatever the text. A field with a problem keeps its default in the options,
    which must not be used then.
    """
    options, reader = _read(fields, files)
    return options, [*reader.in_order(), *_conflicts(options, reader, files)]


def find_value_problems(fields: Mapping[str, str], files: Collection[str] = ()) -> list[Problem]:
    """The problems of single fields, without those of fields that do not go together."""
    return _read(fields, files)[1].in_order()


def _read(fields: Mapping[str, str], files: Collection[str]) -> tuple[CutoutOptions, "_Reader"]:
    fields, problems = with_preset(fields, files)
    reader = _Reader(fields, problems)
    fit = reader.read("fit", _parse_fit, None)
    pad = fit == "pad"
    # A canvas is for the subject, unless the caller wants the whole image on it.
    crop = reader.read("crop", parse_boolean, pad)
    exact = reader.read("exact_resize", parse_boolean, False)
    options = CutoutOptions(
        format=reader.read("format", _parse_format, "webp"),
        width=reader.read("w", parse_side, None),
        height=reader.read("h", parse_side, None),
        exact_resize=exact if fit is None else fit == "exact",
        mask=reader.read("mask", parse_boolean, False),
        background=reader.read("bg_color", parse_color, None),
        angle=reader.read("angle", parse_angle, 0.0),
        expand=reader.read("expand", parse_boolean, True),
        detail=reader.read("detail", choice(_DETAILS), "auto"),
        decontaminate=reader.read("decontaminate", parse_boolean, True),
        crop=crop,
        crop_margin=reader.read("crop_margin", _parse_margin, NO_SIDES),
        roi=reader.read("roi", _parse_roi, None),
        scale=reader.read("scale", _parse_scale, None),
        position=reader.read("position", _parse_position, None),
        pad=pad,
        padding=reader.read("padding", _parse_padding, NO_SIDES),
        snap=reader.read("snap", parse_boolean, crop),
        background_image="bg_image" in files or bool(reader.text("bg_image_url")),
        background_blur=reader.read("bg_blur", number(0, 100), 0.0),
        shadow=reader.read("shadow", choice(_SHADOWS), "none"),
        shadow_opacity=reader.read("shadow_opacity", number(0, 100), None),
        shadow_color=reader.read("shadow_color", parse_color, (0, 0, 0, 255)),
        shadow_blur=reader.read("shadow_blur", _parse_blur, None),
        shadow_offset=reader.read("shadow_offset", _parse_offset, None),
        quality=reader.read("quality", integer(1, 100), None),
        dpi=reader.read("dpi", integer(1, MAX_DPI), None),
        model=reader.text("model"),
    )
    return options, reader


MASK_WITH_BG_COLOR = "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other."
# The fields of which each lays something behind the subject; the second and third need an image.
BACKGROUNDS = ("bg_color", "bg_image", "bg_image_url", "bg_blur")


def _conflicts(options: CutoutOptions, reader: "_Reader", files: Collection[str]) -> list[Problem]:
    """The problems of fields that do not go together."""
    behind = [name for name in BACKGROUNDS if reader.text(name) or name in files]
    if not options.background_blur and "bg_blur" in behind and reader.is_good("bg_blur"):
        behind.remove("bg_blur")
    problems = []
    if options.mask:
        against = [*behind, *(["shadow"] if options.shadow != "none" else [])]
        problems += [Problem("mask", "mask_with_bg_color", MASK_WITH_BG_COLOR.replace("bg_color", name)) for name in against]
    elif len(behind) > 1:
        names = " and ".join(f"'{name}'" for name in behind)
        message = f"Only one background is possible, got: {names}. Leave out all but one."
        problems.append(Problem(behind[1], "two_backgrounds", message))
    if options.pad:
        problems += _pad_problems(options, reader)
    problems += _margin_problems(options)
    return problems


def _pad_problems(options: CutoutOptions, reader: "_Reader") -> list[Problem]:
    if options.width is None or options.height is None:
        # A side with a problem of its own is not missing.
        if reader.is_good("w") and reader.is_good("h"):
            return [Problem("fit", "missing_size", "'fit=pad' needs both 'w' and 'h'.")]
        return []
    return _room_problems("padding", options.padding, options)


def _margin_problems(options: CutoutOptions) -> list[Problem]:
    """Margins in px are of the delivered image, so they count against its sides."""
    if not options.crop or options.pad:
        return []
    pixels = tuple(side if side[1] == "px" else (0.0, "px") for side in options.crop_margin)
    return _room_problems("crop_margin", pixels, options)  # type: ignore[arg-type]


def _room_problems(field: str, sides: Sides, options: CutoutOptions) -> list[Problem]:
    problems = []
    for name, whole, ends in (("w", options.width, (sides[3], sides[1])), ("h", options.height, (sides[0], sides[2]))):
        if whole is not None and whole - sum(in_pixels(side, whole) for side in ends) < 1:
            message = f"'{field}' leaves no room for the subject in a '{name}' of {whole}."
            problems.append(Problem(field, "out_of_range", message))
    return problems


class _Reader:
    """Reads fields one by one and collects their problems. `of_preset` are those of the preset that filled in the fields."""

    def __init__(self, fields: Mapping[str, str], of_preset: list[Problem]) -> None:
        self._fields, self._of_preset = fields, of_preset
        self.problems: list[Problem] = []

    def text(self, field: str) -> str:
        return self._fields.get(field, "").strip()

    def read(self, field: str, parse: Callable[[str, str], _T], default: _T) -> _T:
        text = self.text(field)
        if not text:
            return default
        try:
            return parse(field, text)
        except InvalidValue as error:
            self.problems.append(Problem(field, error.code, error.message))
            return default

    def is_good(self, field: str) -> bool:
        """Whether no problem of `field` was found."""
        return all(problem.field != field for problem in self.problems)

    def in_order(self) -> list[Problem]:
        """The problems in the order of the contract's table, not in that of reading."""
        return [*self._of_preset, *sorted(self.problems, key=lambda problem: OPTION_FIELDS.index(problem.field))]


# The text fields, in the order of the documentation.
OPTION_FIELDS = (
    "format", "w", "h", "exact_resize", "mask", "bg_color", "angle", "expand", "model", "detail", "decontaminate",
    "crop", "crop_margin", "roi", "scale", "position", "fit", "padding", "snap", "bg_image_url", "bg_blur", "shadow",
    "shadow_opacity", "shadow_color", "shadow_blur", "shadow_offset", "preset", "quality", "dpi",
)  # fmt: skip

_FORMATS: Mapping[str, OutputFormat] = {"webp": "webp", "png": "png", "jpeg": "jpeg", "jpg": "jpeg", "bmp": "bmp"}


def _parse_format(field: str, text: str) -> OutputFormat:
    try:
        return _FORMATS[text.lower()]
    except KeyError:
        message = f"Invalid format '{shortened(text)}'. Allowed formats: PNG, JPEG, WEBP, BMP"
        raise InvalidValue("invalid_format", message) from None


_parse_fit = choice({"inside": "inside", "exact": "exact", "pad": "pad"})
_DETAILS: Mapping[str, Detail] = {"auto": "auto", "fast": "fast"}
_SHADOWS: Mapping[str, Shadow] = {"none": "none", "drop": "drop", "contact": "contact"}
_four_sides = lengths((1, 2, 4), pixels=MAX_MARGIN_PIXELS, percent=MAX_MARGIN_PERCENT)
_four_paddings = lengths((1, 2, 4), pixels=MAX_SIDE, percent=MAX_PADDING_PERCENT)
_region = lengths((4,), pixels=MAX_SIDE, percent=100)
_one_length = lengths((1,), pixels=MAX_MARGIN_PIXELS, percent=MAX_MARGIN_PERCENT)
_two_lengths = lengths((2,), pixels=MAX_MARGIN_PIXELS, percent=100, signed=True)


def _parse_margin(field: str, text: str) -> Sides:
    return _all_sides(_four_sides(field, text))


def _parse_padding(field: str, text: str) -> Sides:
    return _all_sides(_four_paddings(field, text))


def _all_sides(found: tuple[Length, ...]) -> Sides:
    """One value is for all sides, two are for top and bottom, and for left and right."""
    top, right, bottom, left = {1: found * 4, 2: found * 2, 4: found}[len(found)]
    return top, right, bottom, left


def _parse_roi(field: str, text: str) -> Sides:
    left, top, right, bottom = _region(field, text)
    for start, end in ((left, right), (top, bottom)):
        # Values of different units can be compared once the image's size is known.
        if start[1] == end[1] and start[0] >= end[0]:
            raise InvalidValue("roi_empty", f"'{field}' must have a width and a height, got: '{shortened(text)}'")
    return left, top, right, bottom


_percentage = number(0, 100)


def _parse_scale(field: str, text: str) -> float | None:
    return None if text.lower() == "original" else number(MIN_SCALE, 100)(field, text)


def _parse_position(field: str, text: str) -> Position | Literal["original"]:
    if text.lower() == "original":
        return "original"
    if text.lower() == "center":
        return 50.0, 50.0
    parts = text.replace(",", " ").split()
    if len(parts) > 2:
        message = f"'{field}' must be center, original, or one or two percentages, got: '{shortened(text)}'"
        raise InvalidValue("invalid_position", message)
    values = [_percentage(field, part) for part in parts]
    return values[0], values[-1]


def _parse_blur(field: str, text: str) -> Length:
    return _one_length(field, text)[0]


def _parse_offset(field: str, text: str) -> tuple[Length, Length]:
    across, down = _two_lengths(field, text)
    return across, down
