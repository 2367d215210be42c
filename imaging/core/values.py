"""Values of text fields: numbers, lengths, colours, choices. Each parser raises InvalidValue with the caller's message."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias, TypeVar

from PIL import ImageColor

RGBA: TypeAlias = tuple[int, int, int, int]
# A number and its unit.
Length: TypeAlias = tuple[float, Literal["px", "%"]]
# As CSS orders them: top, right, bottom, left.
Sides: TypeAlias = tuple[Length, Length, Length, Length]

# The contract's limit on either side of a delivered image, in pixels.
MAX_SIDE = 10_000
MAX_ANGLE = 360

_T = TypeVar("_T")


class InvalidValue(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_ECHO_LENGTH = 100


def shortened(text: str) -> str:
    """`text` as it may be repeated in a message: at most 100 characters, ending in an ellipsis if any were cut."""
    return text if len(text) <= _ECHO_LENGTH else text[: _ECHO_LENGTH - 1] + "…"


# int() would also take `1_000` and the digits of every script.
_INTEGER = re.compile(r"([+-]?)([0-9]+)")
# Longer than any side allowed, and far below the 4300 digits that int() refuses.
_MAX_DIGITS = 18


def parse_side(field: str, text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise InvalidValue("invalid_integer", f"'{field}' must be an integer, got: '{shortened(text)}'")
    digits = match[2].lstrip("0")
    if not digits:
        return None
    value = ("-" if match[1] == "-" else "") + digits
    if value.startswith("-"):
        raise InvalidValue("out_of_range", f"'{field}' must be at least 1, got: {shortened(value)}")
    if len(digits) > _MAX_DIGITS or int(digits) > MAX_SIDE:
        raise InvalidValue("out_of_range", f"'{field}' must be at most {MAX_SIDE}, got: {shortened(value)}")
    return int(digits)


# float() would also take `nan`, `inf`, `1_0` and the digits of every script.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def parse_angle(field: str, text: str) -> float:
    angle = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(angle):
        raise InvalidValue("invalid_number", f"'{field}' must be a number, got: '{shortened(text)}'")
    if abs(angle) > MAX_ANGLE:
        message = f"'{field}' must be between -{MAX_ANGLE} and {MAX_ANGLE} degrees, got: {angle}"
        raise InvalidValue("out_of_range", message)
    return angle


_BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def parse_boolean(field: str, text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        message = f"'{field}' must be true or false, got: '{shortened(text)}'"
        raise InvalidValue("invalid_boolean", message) from None


def is_true(text: str) -> bool:
    """Whether `text` is one of the words for true."""
    return _BOOLEANS.get(text.strip().lower(), False)


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


def parse_color(field: str, text: str) -> RGBA:
    if named := _COLORS.get(text.lower()):
        return named
    match = _HEX.fullmatch(text)
    if match is None:
        message = f"Invalid color format '{shortened(text)}'. Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA"
        raise InvalidValue("invalid_color", message)
    return _hex_color(match[1])


def _hex_color(digits: str) -> RGBA:
    if len(digits) <= 4:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue, alpha = bytes.fromhex(digits.ljust(8, "f"))
    return red, green, blue, alpha


def choice(values: Mapping[str, _T]) -> Callable[[str, str], _T]:
    """A parser of one of the keys of `values`, in any letter case."""

    def parse(field: str, text: str) -> _T:
        try:
            return values[text.lower()]
        except KeyError:
            names = ", ".join(values)
            message = f"'{field}' must be one of {names}, got: '{shortened(text)}'"
            raise InvalidValue("invalid_choice", message) from None

    return parse


def number(low: float, high: float) -> Callable[[str, str], float]:
    """A parser of a number from `low` to `high`; a percent sign may follow it."""

    def parse(field: str, text: str) -> float:
        digits = text.removesuffix("%").rstrip()
        value = float(digits) if _NUMBER.fullmatch(digits) else math.nan
        if not math.isfinite(value):
            raise InvalidValue("invalid_number", f"'{field}' must be a number, got: '{shortened(text)}'")
        if not low <= value <= high:
            message = f"'{field}' must be between {low:g} and {high:g}, got: {shortened(text)}"
            raise InvalidValue("out_of_range", message)
        return value

    return parse


def integer(low: int, high: int) -> Callable[[str, str], int]:
    """A parser of a whole number from `low` to `high`."""

    def parse(field: str, text: str) -> int:
        match = _INTEGER.fullmatch(text)
        if match is None:
            raise InvalidValue("invalid_integer", f"'{field}' must be an integer, got: '{shortened(text)}'")
        value = int(match[0]) if len(match[2].lstrip("0")) <= _MAX_DIGITS else math.inf
        if not low <= value <= high:
            raise InvalidValue("out_of_range", f"'{field}' must be between {low} and {high}, got: {shortened(text)}")
        return int(value)

    return parse


_LENGTH = re.compile(rf"({_NUMBER.pattern})(px|%)?", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*,\s*|\s+")


def lengths(
    counts: tuple[int, ...], *, pixels: float, percent: float, signed: bool = False
) -> Callable[[str, str], tuple[Length, ...]]:
    """A parser of lengths in px or %, as many as one of `counts`, between spaces or commas. A bare number is pixels.

    Each is from 0, or if `signed` from minus the limit, to `pixels` or `percent`.
    """
    many = " or ".join(filter(None, (", ".join(map(str, counts[:-1])), str(counts[-1]))))
    most = {"px": pixels, "%": percent}

    def parse(field: str, text: str) -> tuple[Length, ...]:
        found = [_LENGTH.fullmatch(part) for part in _SEPARATOR.split(text)]
        if len(found) not in counts or not all(found):
            noun = "length" if counts == (1,) else "lengths"
            message = f"'{field}' must be {many} {noun} in px or %, got: '{shortened(text)}'"
            raise InvalidValue("invalid_length", message)
        return tuple(one(field, match) for match in found if match)

    def one(field: str, match: re.Match[str]) -> Length:
        unit: Literal["px", "%"] = "%" if match[2] == "%" else "px"
        value, low = float(match[1]), -most[unit] if signed else 0
        if not low <= value <= most[unit]:
            allowed = f"between {low:g} and {most[unit]:g}{unit}"
            raise InvalidValue("out_of_range", f"'{field}' must be {allowed}, got: {shortened(match[0])}")
        return value, unit

    return parse


def in_pixels(length: Length, whole: float) -> float:
    """`length` in pixels, where 100 % are `whole`."""
    value, unit = length
    return value if unit == "px" else value * whole / 100
