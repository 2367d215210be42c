"""A job and its outcome, also as JSON: neither side unpickles what the other sent."""

import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from imaging.core.codecs.headers import ImageHeader
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import BackgroundImage, Cutout
from imaging.core.problems import ImageRefused, Problem
from imaging.executor.fair_queue import SOMEONE, Rank, Requester
from imaging.executor.gate import Busy

# The step of a cutout's timings that is not work: the wait for a slot, or for a worker and in transit.
QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class Job:
    """An image, checked as far as possible without decoding; its options; and who requested it.

    `refine` redraws the edges of a small matte. `name` is the file's name as sent. `background` is an image to lay behind
    the subject. `more` are options of further outputs: see `cut_out`.
    """

    file: BinaryIO
    header: ImageHeader
    options: CutoutOptions
    refine: bool
    requester: Requester = SOMEONE
    name: str = ""
    background: BackgroundImage | None = None
    more: tuple[CutoutOptions, ...] = ()

    def to_json(self) -> str:
        """Serialise for `from_json`, without files and name."""
        facts: dict[str, Any] = {
            "header": dataclasses.asdict(self.header),
            # Workers of the previous release look for this one even if it is not set.
            "options": {"background": None, **self.options.to_json()},
            "refine": self.refine,
            "requester": dataclasses.asdict(self.requester),
        }
        if self.more:
            # Among the options, where a worker of the previous release leaves what it does not know to another one.
            facts["options"]["more"] = [options.to_json() for options in self.more]
        if self.background is not None:
            facts["background"] = dataclasses.asdict(self.background.header)
        return json.dumps(facts)

    @classmethod
    def from_json(cls, text: str | bytes, file: BinaryIO, background: BinaryIO | None = None) -> "Job":
        """The job that `to_json` wrote; `background` is the file of its background image.

        Raises UnknownOption; ValueError, KeyError or TypeError for anything else.
        """
        facts = json.loads(text)
        # The previous release does not send the requester.
        requester = facts.get("requester", {"name": "", "rank": Rank.CUSTOMER})
        requester = Requester(requester["name"], Rank(requester["rank"]))
        more = tuple(map(CutoutOptions.from_json, facts["options"].pop("more", ())))
        options = CutoutOptions.from_json(facts["options"])
        behind = BackgroundImage(background, ImageHeader(**facts["background"])) if background is not None else None
        header = ImageHeader(**facts["header"])
        return cls(file, header, options, facts["refine"], requester, background=behind, more=more)


class WorkFailed(Exception):
    """A worker crashed on the image. Its log shows why, under the same request id."""


CRASHED = json.dumps({"outcome": "crashed"})
BUSY = json.dumps({"outcome": "busy"})


def refused(refusal: ImageRefused) -> str:
    """The outcome when the image is at fault, as JSON."""
    problems = [dataclasses.asdict(problem) for problem in refusal.problems]
    for problem in problems:
        # The previous release does not know it.
        if not problem["advice"]:
            del problem["advice"]
    return json.dumps({"outcome": "refused", "problems": problems})


def delivered(cutout: Cutout, payloads: Sequence[str]) -> str:
    """The outcome of a finished cutout, as JSON.

    `payloads` name its bytes and those of its further results, which are sent separately.
    """
    first, *others = payloads
    facts = {"outcome": "delivered", **_result_facts(cutout, first)}
    if others:
        facts["more"] = [_result_facts(one, name) for one, name in zip(cutout.more, others, strict=True)]
    return json.dumps(facts)


def _result_facts(cutout: Cutout, payload: str) -> dict[str, Any]:
    facts = {field.name: getattr(cutout, field.name) for field in dataclasses.fields(cutout)}
    # Outside of `cutout`, where web processes of the release before do not look.
    outside = {name: facts.pop(name) for name in ("confidence", "foreground")}
    del facts["content"], facts["size"], facts["more"]
    # The web process measures the wait, with its own clock.
    facts["timings"] = {step: seconds for step, seconds in cutout.timings.items() if step != QUEUE}
    # The key of the previous release.
    return {"cutout": facts, "parcel": payload, **outside}


def payload_names(facts: dict[str, Any]) -> list[str]:
    """The names of the results' bytes. Raises what an outcome without an image is: ImageRefused, Busy, or WorkFailed."""
    match facts["outcome"]:
        case "delivered":
            return [str(result["parcel"]) for result in (facts, *facts.get("more", ()))]
        case "refused":
            raise ImageRefused(*(Problem(**problem) for problem in facts["problems"]))
        case "busy":
            raise Busy
    raise WorkFailed("a worker crashed on this image")


def cutout_from(facts: dict[str, Any], files: Sequence[bytes]) -> Cutout:
    """The cutout of an outcome that is `delivered`, from the bytes that `payload_names` names."""
    first, *others = map(_result_from, (facts, *facts.get("more", ())), files)
    return dataclasses.replace(first, more=tuple(others))


def _result_from(facts: dict[str, Any], data: bytes) -> Cutout:
    # JSON has lists alone. Workers of the previous release do not find the subject.
    left, top, width, height = facts.get("foreground", (0, 0, 0, 0))
    foreground, confidence = (left, top, width, height), facts.get("confidence")
    return Cutout(io.BytesIO(data), len(data), **facts["cutout"], foreground=foreground, confidence=confidence)
