"""The options of one cutout, read from the caller's text fields."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from PIL import ImageColor

from imaging.core.problems import Problem

OutputFormat: TypeAlias = Literal["webp", "png", "jpeg", "bmp"]
RGBA: TypeAlias = tuple[int, int, int, int]

# The contract's limit on either side of a delivered image, in pixels.
MAX_SIDE = 10_000
MAX_ANGLE = 360

_T = TypeVar("_T")


class UnknownOption(Exception):
    """A newer release has options that this one lacks. Ignoring one would deliver another image than was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoutOptions:
    """What the caller wants delivered.

    `width` and `height` are 1-10000 px or None (unset); `background` is straight (not premultiplied) RGBA, each 0-255;
    `angle` is in degrees, counter-clockwise, -360 to 360.
    """

    format: OutputFormat = "webp"
    width: int | None = None
    height: int | None = None
    exact_resize: bool = False
    mask: bool = False
    background: RGBA | None = None
    angle: float = 0.0
    expand: bool = True
    decontaminate: bool = True

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
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def parse_options(fields: Mapping[str, str]) -> tuple[CutoutOptions, list[Problem]]:
    """Read the options from `fields`; every problem is found in one pass, in the order of the contract's table.

    White space around a value is ignored, an empty value is unset, unknown fields are ignored. Never raises, whatever the
    text. A field with a problem keeps its default in the options, which must not be used then.
    """
    reader = _Reader(fields)
    options = CutoutOptions(
        format=reader.read("format", _parse_format, "webp"),
        width=reader.read("w", _parse_side, None),
        height=reader.read("h", _parse_side, None),
        exact_resize=reader.read("exact_resize", _parse_boolean, False),
        mask=reader.read("mask", _parse_boolean, False),
        background=reader.read("bg_color", _parse_color, None),
        angle=reader.read("angle", _parse_angle, 0.0),
        expand=reader.read("expand", _parse_boolean, True),
        decontaminate=reader.read("decontaminate", _parse_boolean, True),
    )
    if options.mask and reader.text("bg_color"):
        reader.problems.append(Problem("mask", "mask_with_bg_color", MASK_WITH_BG_COLOR))
    return options, reader.problems


MASK_WITH_BG_COLOR = "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other."


class _InvalidError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Reader:
    """Reads fields one by one and collects their problems."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self.problems: list[Problem] = []

    def text(self, field: str) -> str:
        return self._fields.get(field, "").strip()

    def read(self, field: str, parse: Callable[[str, str], _T], default: _T) -> _T:
        text = self.text(field)
        if not text:
            return default
        try:
            return parse(field, text)
        except _InvalidError as error:
            self.problems.append(Problem(field, error.code, error.message))
            return default


_ECHO_LENGTH = 100


def shortened(text: str) -> str:
    """`text` as it may be repeated in a message: at most 100 characters, ending in an ellipsis if any were cut."""
    return text if len(text) <= _ECHO_LENGTH else text[: _ECHO_LENGTH - 1] + "…"


_FORMATS: Mapping[str, OutputFormat] = {"webp": "webp", "png": "png", "jpeg": "jpeg", "jpg": "jpeg", "bmp": "bmp"}


def _parse_format(field: str, text: str) -> OutputFormat:
    try:
        return _FORMATS[text.lower()]
    except KeyError:
        message = f"Invalid format '{shortened(text)}'. Allowed formats: PNG, JPEG, WEBP, BMP"
        raise _InvalidError("invalid_format", message) from None


# int() would also take `1_000` and the digits of every script.
_INTEGER = re.compile(r"([+-]?)([0-9]+)")
# Longer than any side allowed, and far below the 4300 digits that int() refuses.
_MAX_DIGITS = 18


def _parse_side(field: str, text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise _InvalidError("invalid_integer", f"'{field}' must be an integer, got: '{shortened(text)}'")
    digits = match[2].lstrip("0")
    if not digits:
        return None
    value = ("-" if match[1] == "-" else "") + digits
    if value.startswith("-"):
        raise _InvalidError("out_of_range", f"'{field}' must be at least 1, got: {shortened(value)}")
    if len(digits) > _MAX_DIGITS or int(digits) > MAX_SIDE:
        raise _InvalidError("out_of_range", f"'{field}' must be at most {MAX_SIDE}, got: {shortened(value)}")
    return int(digits)


# float() would also take `nan`, `inf`, `1_0` and the digits of every script.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _parse_angle(field: str, text: str) -> float:
    angle = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(angle):
        raise _InvalidError("invalid_number", f"'{field}' must be a number, got: '{shortened(text)}'")
    if abs(angle) > MAX_ANGLE:
        message = f"'{field}' must be between -{MAX_ANGLE} and {MAX_ANGLE} degrees, got: {angle}"
        raise _InvalidError("out_of_range", message)
    return angle


_BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def _parse_boolean(field: str, text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        message = f"'{field}' must be true or false, got: '{shortened(text)}'"
        raise _InvalidError("invalid_boolean", message) from None


def _named_colors() -> dict[str, RGBA]:
    # Pillow's table holds the 148 names of CSS Color Module 4, all opaque; `transparent` is the one that it lacks.
    names = {name: ImageColor.getcolor(name, "RGBA") for name in tuple(ImageColor.colormap)}
    return {**{name: _rgba(color) for name, color in names.items()}, "transparent": (0, 0, 0, 0)}


def _rgba(color: int | tuple[int, ...]) -> RGBA:
    assert isinstance(color, tuple)  # noqa: S101 - getcolor() gives a tuple for every mode but the grey ones
    red, green, blue, alpha = color
    return red, green, blue, alpha


_COLORS: Mapping[str, RGBA] = _named_colors()
_HEX = re.compile(r"#?([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


def _parse_color(field: str, text: str) -> RGBA:
    if named := _COLORS.get(text.lower()):
        return named
    match = _HEX.fullmatch(text)
    if match is None:
        message = f"Invalid color format '{shortened(text)}'. Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA"
        raise _InvalidError("invalid_color", message)
    return _hex_color(match[1])


def _hex_color(digits: str) -> RGBA:
    if len(digits) <= 4:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue, alpha = bytes.fromhex(digits.ljust(8, "f"))
    return red, green, blue, alpha
