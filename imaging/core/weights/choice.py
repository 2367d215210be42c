"""The engine that serves a model, chosen by what was measured on the machine that serves it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from imaging.core.cpu import count_cores, processor
from imaging.core.weights.engines import Kind, installed_versions
from imaging.core.weights.files import choice_path, int8_path, int8_ready, mnn_path, mnn_ready, serving_path

# Raise it when the measuring changes.
_FORMAT = 1
# How much of the throughput that the times of one image promise may be given up for fewer sessions, each with more
# threads: they answer sooner and need less memory. Sessions at once slow each other down. u2net on two cores without VNNI:
# one session of two threads answers in 0.63 s and makes 1.65 images a second; two of one thread 0.99 s and 1.80, for 640 MB
# more.
_ENOUGH_THROUGHPUT = 0.7
# Seconds on one thread, as a multiple of its processor time, up to which a machine counts as quiet.
_QUIET = 1.3
# Each session of MNN's has a copy of the weights: 0.6 GB for u2net.
_MAX_SESSIONS = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """What one engine took: seconds for an image by number of threads; and why it must not serve, or "".

    `effort` is the processor time of an image on one thread, in seconds: other programs hardly change it. `left` is the
    share of the gate's images that INT8 leaves to fp32; their effort is included.
    """

    runtime: str
    precision: str
    seconds: Mapping[int, float]
    effort: float = 0.0
    refusal: str = ""
    left: float = 0.0

    @property
    def kind(self) -> Kind:
        return Kind(self.runtime, self.precision)

    @property
    def was_quiet(self) -> bool:
        """Whether the machine had nothing else to do: otherwise the seconds say little of it."""
        return bool(self.seconds) and self.seconds[min(self.seconds)] <= _QUIET * self.effort


@dataclass(frozen=True, slots=True)
class Choice:
    """The figures of a model's engines and the machine that they hold for."""

    machine: Mapping[str, object]
    figures: Sequence[Figure]

    def ranked(self) -> list[Figure]:
        """The engines that may serve, the fastest first."""
        return sorted((figure for figure in self.figures if not figure.refusal), key=lambda figure: figure.effort)

    def refusal(self, kind: Kind) -> str:
        """Why `kind` must not serve; "" if it may, or was not measured."""
        return next((figure.refusal for figure in self.figures if figure.kind == kind), "")


def this_machine(name: str) -> dict[str, object]:
    """What the figures of model `name` depend on: processor, cores, versions of the runtimes, the files that they open."""
    files = [serving_path(name), *([mnn_path(name)] if mnn_ready(name) else [])]
    files += [int8_path(name)] if int8_ready(name) else []
    return {
        "format": _FORMAT,
        "processor": processor(),
        "cores": count_cores(),
        "versions": installed_versions(),
        "files": [file.name for file in files],
    }


def find_choice(name: str) -> Choice | None:
    """What was measured for model `name` on this machine, as it is now; None if nothing was."""
    choice = find_any_choice(name)
    return choice if choice is not None and choice.machine == this_machine(name) else None


def find_any_choice(name: str) -> Choice | None:
    """What was measured for model `name`, here or where its files were made; None if nothing was, or it cannot be read."""
    try:
        content = json.loads(choice_path(name).read_text())
        figures = [
            Figure(**{**row, "seconds": {int(threads): taken for threads, taken in row["seconds"].items()}})
            for row in content["figures"]
        ]
        return Choice(content["machine"], figures) if all(figure.seconds or figure.refusal for figure in figures) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_choice(path: Path, choice: Choice) -> None:
    """Write `choice` to `path`."""
    path.write_text(
        json.dumps({"machine": choice.machine, "figures": [asdict(row) for row in choice.figures]}, indent=1) + "\n"
    )


def best_split(seconds: Mapping[int, float], threads: int) -> tuple[int, int]:
    """Threads and number of sessions, for `threads` in all, from the seconds that one image takes by number of threads.

    The most threads for each image, which answers soonest while the machine is idle, unless more sessions at once finish a
    good deal more images a second while it is busy.
    """
    usable = {count: taken for count, taken in seconds.items() if count <= threads} or {threads: 1.0}
    sessions = {count: min(_MAX_SESSIONS, threads // count) for count in usable}
    rates = {count: sessions[count] / taken for count, taken in usable.items()}
    enough = _ENOUGH_THROUGHPUT * max(rates.values())
    chosen = max(count for count, rate in rates.items() if rate >= enough)
    return chosen, sessions[chosen]
