"""An image's order and its outcome, also as JSON: neither side unpickles what the other sent."""

import dataclasses
import io
import json
from dataclasses import dataclass
from typing import Any

from imaging.core.codecs.headers import ImageHeader
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import Cutout
from imaging.core.problems import ImageRefused, Problem
from imaging.executor.fair_queue import SOMEONE, Rank, Requester
from imaging.executor.gate import Busy


@dataclass(frozen=True, slots=True)
class Order:
    """The checked header of an image, its options, and who requested it."""

    header: ImageHeader
    options: CutoutOptions
    refine: bool
    requester: Requester = SOMEONE

    def to_json(self) -> str:
        """Serialise for `from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Order":
        """The order that `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        told = json.loads(text)
        options = told["options"]
        if options["background"] is not None:
            options["background"] = tuple(options["background"])
        # The previous release does not send the requester.
        requester = told.get("requester", {"name": "", "rank": Rank.CUSTOMER})
        requester = Requester(requester["name"], Rank(requester["rank"]))
        return cls(ImageHeader(**told["header"]), CutoutOptions(**options), told["refine"], requester)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A finished cutout and the seconds that it waited: for a place, or for a worker and in transit."""

    cutout: Cutout
    queued: float


class WorkFailed(Exception):
    """A worker crashed on the image. Its log shows why, under the same request id."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A worker's report on a job. `facts` are JSON; a delivered image's bytes are sent separately."""

    facts: dict[str, Any]
    data: bytes | None = None

    def to_json(self, **more: str) -> str:
        """The facts and `more` as JSON."""
        return json.dumps({**self.facts, **more})


def delivered(cutout: Cutout) -> Outcome:
    """The outcome of a finished cutout."""
    names = [field.name for field in dataclasses.fields(cutout) if field.name not in ("content", "size")]
    facts = {name: getattr(cutout, name) for name in names}
    return Outcome({"outcome": "delivered", "cutout": {**facts, "timings": dict(cutout.timings)}}, cutout.data)


def refused(refusal: ImageRefused) -> Outcome:
    """The outcome when the image is at fault."""
    return Outcome({"outcome": "refused", "problems": [dataclasses.asdict(problem) for problem in refusal.problems]})


BUSY = Outcome({"outcome": "busy"})
CRASHED = Outcome({"outcome": "crashed"})


def is_delivered(facts: dict[str, Any]) -> bool:
    """Whether the outcome has an image."""
    return bool(facts["outcome"] == "delivered")


def cutout_from(facts: dict[str, Any], data: bytes) -> Cutout:
    """The cutout of an outcome that is `delivered`."""
    return Cutout(io.BytesIO(data), len(data), **facts["cutout"])


def failure_from(facts: dict[str, Any]) -> Exception:
    """The exception for an outcome that is not `delivered`: ImageRefused, Busy, or WorkFailed."""
    if facts["outcome"] == "refused":
        return ImageRefused(*(Problem(**problem) for problem in facts["problems"]))
    return Busy() if facts["outcome"] == "busy" else WorkFailed("a worker crashed over this picture")
