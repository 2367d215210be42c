"""Several results of one image: one matte for all of them, and for each options in place of those that all share."""

import dataclasses
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imaging.core.options import BACKGROUNDS, OPTION_FIELDS, CutoutOptions, find_value_problems, parse_options
from imaging.core.presets import with_preset
from imaging.core.problems import Problem
from imaging.core.values import is_true, shortened

FIELD = "outputs"
MAX_OUTPUTS = 5
MAX_NAME = 32
_NAME = re.compile(rf"[a-z0-9_-]{{1,{MAX_NAME}}}")
# They decide about the matte, of which there is one.
_OF_THE_MATTE = ("model", "roi", "detail")
# There is one such image for a batch. An output may do without it.
_BACKGROUND_IMAGES = ("bg_image", "bg_image_url")
_FIELDS = frozenset(OPTION_FIELDS) - {*_OF_THE_MATTE, *_BACKGROUND_IMAGES}

NOT_A_LIST = Problem(FIELD, "invalid_outputs", f"'{FIELD}' must be a JSON list of 1 to {MAX_OUTPUTS} objects.")


@dataclass(frozen=True, slots=True)
class Output:
    """One result of an image. `name` goes into the name of its file; "" for none."""

    name: str
    options: CutoutOptions

    def to_json(self) -> dict[str, Any]:
        """The output as values that JSON has, for `from_json`."""
        return {"name": self.name, "options": self.options.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Output":
        """The output that `to_json` wrote. Raises UnknownOption for an option of a newer release."""
        return cls(values["name"], CutoutOptions.from_json(values["options"]))


def of_output(index: int, problem: Problem) -> Problem:
    """A problem of the output at `index`, counted from 0, as a problem of `outputs`."""
    at = f"{FIELD}[{index}]"
    return dataclasses.replace(problem, field=f"{at}.{problem.field}", message=f"{at}: {problem.message}")


def parse_outputs(fields: Mapping[str, str], files: Collection[str] = ()) -> tuple[list[Output], list[Problem]]:
    """Read the field `outputs` over the other `fields`, which all outputs share; every problem is found in one pass.

    It is a JSON list of objects: an optional `name`, and options as text, numbers or booleans. An option stands in place of
    the shared one; null takes the shared one away. A preset of an output wins over everything that is shared. `files` are
    the names of the file fields that were sent. Never raises, whatever the text.
    """
    rows = _rows_of(fields.get(FIELD, ""))
    if rows is None:
        return [], [NOT_A_LIST]
    of_all = find_value_problems(fields, files)
    shared = _filled(fields, files)
    outputs, problems, names = [], list(of_all), dict[str, int]()
    for index, row in enumerate(rows):
        output, found = _parse_output(row, shared, files, names)
        if output.name:
            names.setdefault(output.name, index)
        outputs.append(output)
        problems += [of_output(index, problem) for problem in found if problem not in of_all]
    return outputs, problems


def _rows_of(text: str) -> list[dict[str, Any]] | None:
    """The objects of the list, with numbers as the text that was sent; None if it is not such a list."""
    try:
        rows = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    is_list = isinstance(rows, list) and 1 <= len(rows) <= MAX_OUTPUTS
    return rows if is_list and all(isinstance(row, dict) for row in rows) else None


def _parse_output(
    row: Mapping[str, Any], shared: Mapping[str, str], files: Collection[str], names: Mapping[str, int]
) -> tuple[Output, list[Problem]]:
    """`names` are those of the outputs before, with their indexes."""
    name, problems = _parse_name(row.get("name"), names)
    own = {}
    for field, value in row.items():
        if field == "name":
            continue
        if problem := _find_field_problem(_sound(field), value):
            problems.append(problem)
        else:
            own[field] = _text_of(value)
    merged, files = _merged(shared, own, files)
    options, found = parse_options(merged, files)
    return Output(name, options), [*problems, *found]


def _parse_name(value: Any, names: Mapping[str, int]) -> tuple[str, list[Problem]]:
    if value is None or value == "":
        return "", []
    text = value if isinstance(value, str) else json.dumps(value)
    if not isinstance(value, str) or not _NAME.fullmatch(text):
        message = f"'name' must be 1 to {MAX_NAME} of a-z, 0-9, '_' and '-', got: '{shortened(_sound(text))}'"
        return "", [Problem("name", "invalid_output_name", message)]
    if text in names:
        return "", [Problem("name", "invalid_output_name", f"'name' is '{text}', as that of {FIELD}[{names[text]}]")]
    return text, []


def _find_field_problem(field: str, value: Any) -> Problem | None:
    shown = shortened(field)
    if field in _OF_THE_MATTE or (field in _BACKGROUND_IMAGES and value is not None):
        message = f"'{field}' is one for all outputs: send it next to '{FIELD}'."
        return Problem(shown, "invalid_output_option", message)
    if field not in _FIELDS and field not in _BACKGROUND_IMAGES:
        return Problem(shown, "invalid_output_option", f"'{shown}' is not an option of an output.")
    if isinstance(value, (list, dict)):
        return Problem(shown, "invalid_output_option", f"'{field}' must be text, a number, true, false or null.")
    return None


def _text_of(value: str | bool | None) -> str:
    """A value as a form would have it; "" for one that is unset."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else _sound(value)


def _sound(text: str) -> str:
    """`text` without halves of surrogate pairs, which JSON may have, and which no message may repeat."""
    return text.encode("utf-8", "replace").decode()


def _filled(fields: Mapping[str, str], files: Collection[str] = ()) -> dict[str, str]:
    """The fields, with those of the preset that they name in place of its name."""
    filled = dict(with_preset(fields, files)[0])
    filled.pop("preset", None)
    return filled


def _merged(
    shared: Mapping[str, str], own: Mapping[str, str], files: Collection[str]
) -> tuple[dict[str, str], Collection[str]]:
    """The fields of an output, and the file fields that it uses.

    A background takes the place of the shared one, whatever kind that is; a mask has neither background nor shadow.
    """
    filled, of_preset = with_preset(own, ())
    unset = [name for name, text in own.items() if not text.strip()]
    dropped = [*unset]
    is_mask = is_true(own.get("mask", ""))
    if is_mask or any(_is_background(name, filled.get(name, "")) for name in BACKGROUNDS):
        dropped += BACKGROUNDS
    if is_mask:
        dropped.append("shadow")
    kept = {name: text for name, text in shared.items() if name not in dropped}
    # A preset that does not exist stays, for its problem.
    kept |= {name: text for name, text in filled.items() if name not in unset and (of_preset or name != "preset")}
    return kept, [name for name in files if name not in dropped]


def _is_background(name: str, text: str) -> bool:
    """Whether the field lays something behind the subject: a blur of 0 is none."""
    return bool(text.strip("0. ") if name == "bg_blur" else text.strip())


def outputs_to_json(outputs: Sequence[Output]) -> dict[str, Any]:
    """The outputs in place of the options of one result: a release without outputs finds an option that it does not know."""
    return {FIELD: [output.to_json() for output in outputs]}


def outputs_from_json(values: Mapping[str, Any]) -> list[Output]:
    """What `outputs_to_json` wrote, or the options of one result. Raises UnknownOption for what a newer release wrote."""
    if values.keys() == {FIELD}:
        return [Output.from_json(one) for one in values[FIELD]]
    return [Output("", CutoutOptions.from_json(values))]
