"""The fields of `/v1.0/removebg`, as options of a cutout.

All values that `/rmbg` has too are parsed by its parser: a field is renamed, and what is only here is added.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from imaging.compat import sizes
from imaging.compat.forms import BACKGROUND, BACKGROUND_URL
from imaging.core.geometry import Size
from imaging.core.options import CutoutOptions, OutputFormat, Shadow, parse_options
from imaging.core.problems import Problem
from imaging.core.values import InvalidValue, choice, number, parse_boolean

Kind = Literal["person", "product", "animal", "car", "car_interior", "car_part", "transportation", "graphics", "other"]
OTHER: Kind = "other"
# What may be sent as `type`: the documented values, and those that clients send.
KINDS: Mapping[str, Kind] = {
    "auto": "other", "person": "person", "product": "product", "animal": "animal", "car": "car",
    "car_interior": "car_interior", "car_part": "car_part", "transportation": "transportation", "graphic": "graphics",
    "graphics": "graphics", "other": "other",
}  # fmt: skip
# At level 1 these are all that there are.
FIRST_LEVEL = ("person", "product", "animal", "car", "other")
LEVELS = {"none": 0, "1": 1, "2": 2, "latest": 2}
_FORMATS: Mapping[str, OutputFormat] = {
    "auto": "auto", "png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp", "zip": "zip",
}  # fmt: skip
# `car` and `3D` stand on the ground, as our contact shadow does.
_SHADOWS: Mapping[str, str] = {"none": "none", "auto": "auto", "drop": "drop", "3d": "3d", "car": "car"}
_DRAWN: Mapping[str, Shadow] = {"none": "none", "drop": "drop", "3d": "contact", "car": "contact"}
_AUTO_SHADOWS: Mapping[Kind, str] = {
    "car": "car", "car_interior": "drop", "car_part": "drop", "product": "drop", "person": "3d", "animal": "drop",
    "transportation": "3d", "graphics": "drop", "other": "drop",
}  # fmt: skip
CAR_OPACITY, USUAL_OPACITY = 90.0, 50.0
# Parsed as in `/rmbg`, under the same names.
_SHARED = ("crop", "crop_margin", "roi", "scale", "position", "bg_color", BACKGROUND_URL)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for. `kind` is the caller's, `level` 0 where no X-Type is wanted. `options` lack the size."""

    options: CutoutOptions
    size_class: str
    kind: Kind
    level: int

    @property
    def reported_kind(self) -> str:
        """What X-Type says: empty at level 0."""
        if not self.level:
            return ""
        return self.kind if self.level > 1 or self.kind in FIRST_LEVEL else OTHER

    @property
    def is_png(self) -> bool:
        """Whether the limit of a PNG applies; with `auto` unless the options leave nothing transparent."""
        options = self.options
        has_color = options.background is not None and options.background[3] == 255
        is_filled = options.mask or options.background_image or has_color
        return options.format == "png" or (options.format == "auto" and not is_filled)

    def at(self, upright: Size, size_class: str) -> CutoutOptions:
        """The options with the size of the result for an image of `upright` pixels."""
        size = sizes.result_size(upright, size_class, is_png=self.is_png)
        if self.options.crop:
            return dataclasses.replace(self.options, whole_size=size)
        return dataclasses.replace(self.options, width=size[0], height=size[1], exact_resize=True)


def parse_fields(fields: Mapping[str, str], files: Collection[str]) -> tuple[Wanted, list[Problem]]:
    """What the text fields ask for, and every problem of them. `files` are the file fields that were sent.

    An empty value is unset, unknown fields are ignored. The options must not be used if there are problems.
    """
    shared = {name: fields[name] for name in _SHARED if name in fields}
    # A subject at the edge of the image stays where the other fields put it.
    options, found = parse_options({**shared, "snap": "false"}, ("bg_image",) if BACKGROUND in files else ())
    reader = _Reader(fields)
    wanted = _wanted(options, reader)
    return wanted, [*reader.problems, *(_as_own(problem) for problem in found)]


def _wanted(options: CutoutOptions, reader: "_Reader") -> Wanted:
    kind = reader.read("type", choice(KINDS), OTHER)
    size_class = reader.read("size", choice({name: name for name in sizes.MEGAPIXELS}), "preview")
    is_matte = reader.read("channels", choice({"rgba": False, "alpha": True}), False)
    level = reader.read("type_level", choice(LEVELS), 1)
    format = reader.read("format", choice(_FORMATS), "auto")
    reader.read("semitransparency", parse_boolean, True)
    shadow, opacity = _read_shadow(reader, kind)
    options = dataclasses.replace(options, format=format, shadow=shadow, shadow_opacity=opacity)
    if is_matte and format != "zip":
        # A zip has the alpha in any case, and its colours.
        options = dataclasses.replace(options, mask=True, background=None, background_image=False, shadow="none")
    return Wanted(options, size_class, kind, level)


def _read_shadow(reader: "_Reader", kind: Kind) -> tuple[Shadow, float | None]:
    """The shadow for a subject of `kind`, and its opacity. A value for the kind wins over one for all."""
    style = reader.read("shadow_type", choice(_SHADOWS), "")
    style = _read_per_kind(reader, "shadow_type", choice(_SHADOWS), kind, style)
    if reader.read("add_shadow", parse_boolean, False) and not style and kind == "car":
        style = "car"
    opacity = reader.read("shadow_opacity", _parse_opacity, None)
    opacity = _read_per_kind(reader, "shadow_opacity", _parse_opacity, kind, opacity)
    style = _AUTO_SHADOWS[kind] if style == "auto" else style or "none"
    if opacity is None:
        opacity = CAR_OPACITY if kind == "car" else USUAL_OPACITY
    return _DRAWN[style], (opacity if style != "none" else None)


def _read_per_kind(reader: "_Reader", name: str, parse: Callable[[str, str], _T], kind: Kind, default: _T) -> _T:
    """The value of `name[kind]`; those of other kinds are checked all the same."""
    values = [(own, reader.read(f"{name}[{text}]", parse, None)) for text, own in KINDS.items() if text != "auto"]
    found = [value for own, value in values if own == kind and value is not None]
    return found[0] if found else default


def _parse_opacity(field: str, text: str) -> float | None:
    return None if text.lower() == "auto" else number(0, 100)(field, text)


class _Reader:
    """Reads fields one by one and collects their problems."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self.problems: list[Problem] = []

    def read(self, field: str, parse: Callable[[str, str], Any], default: Any) -> Any:
        text = self._fields.get(field, "").strip()
        if not text:
            return default
        try:
            return parse(field, text)
        except InvalidValue as error:
            self.problems.append(Problem(field, error.code, error.message))
            return default


def _as_own(problem: Problem) -> Problem:
    """A problem of `/rmbg`'s parser, under the name that the field has here."""
    return dataclasses.replace(problem, message=problem.message.replace("'bg_image'", f"'{BACKGROUND}'"))
