"""What is to be done with a picture and what came of it, also as JSON: neither side unpickles what the other has sent."""

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
from imaging.executor.gate import server_busy


@dataclass(frozen=True, slots=True)
class Order:
    """The checked header of a picture, what is to be made of it, and for whom."""

    header: ImageHeader
    options: CutoutOptions
    refine: bool
    requester: Requester = SOMEONE

    def to_json(self) -> str:
        """For `from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Order":
        """The order that `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        told = json.loads(text)
        options = told["options"]
        if options["background"] is not None:
            options["background"] = tuple(options["background"])
        # The release before does not say for whom.
        requester = told.get("requester", {"name": "", "rank": Rank.CUSTOMER})
        requester = Requester(requester["name"], Rank(requester["rank"]))
        return cls(ImageHeader(**told["header"]), CutoutOptions(**options), told["refine"], requester)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A finished cutout and the seconds that it waited: for a place, or for a worker and on the way to and from it."""

    cutout: Cutout
    queued: float


class WorkFailed(Exception):
    """A worker crashed over the picture. Its log tells why, under the same request id."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker tells of a job. `facts` are JSON; a delivered picture's bytes travel beside them."""

    facts: dict[str, Any]
    data: bytes | None = None

    def to_json(self, **more: str) -> str:
        """The facts, and `more`."""
        return json.dumps({**self.facts, **more})


def delivered(cutout: Cutout) -> Outcome:
    """The picture is made."""
    names = [field.name for field in dataclasses.fields(cutout) if field.name not in ("content", "size")]
    facts = {name: getattr(cutout, name) for name in names}
    return Outcome({"outcome": "delivered", "cutout": {**facts, "timings": dict(cutout.timings)}}, cutout.data)


def refused(refusal: ImageRefused) -> Outcome:
    """It is the picture's own fault."""
    return Outcome({"outcome": "refused", "problems": [dataclasses.asdict(problem) for problem in refusal.problems]})


BUSY = Outcome({"outcome": "busy"})
CRASHED = Outcome({"outcome": "crashed"})


def is_delivered(facts: dict[str, Any]) -> bool:
    """Whether there is a picture."""
    return bool(facts["outcome"] == "delivered")


def cutout_from(facts: dict[str, Any], data: bytes) -> Cutout:
    """The picture of an outcome that is `delivered`."""
    return Cutout(io.BytesIO(data), len(data), **facts["cutout"])


def failure_from(facts: dict[str, Any]) -> Exception:
    """What to raise for an outcome that is not: ImageRefused, ApiError 503, or WorkFailed."""
    if facts["outcome"] == "refused":
        return ImageRefused(*(Problem(**problem) for problem in facts["problems"]))
    return server_busy() if facts["outcome"] == "busy" else WorkFailed("a worker crashed over this picture")
