"""What calls return."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from rembg_client.exchange import Answer

if TYPE_CHECKING:
    from PIL.Image import Image


class Foreground(NamedTuple):
    """A box in pixels. All are 0 where there is no subject."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Cutout:
    """A result, and what the server says about it. A fact is None where the server, or a proxy before it, leaves it out.

    `width` and `height` are in pixels. `credits_charged` is 0 for an anonymous call, and where an earlier try under the same
    idempotency key was the one charged. `foreground` is the subject's box in pixels of the result, or of the uncropped image
    at its scale. `confidence`, 0-1, is how sure the model is. `path` is set where the result went to a file.
    """

    media_type: str
    width: int | None
    height: int | None
    credits_charged: float | None
    model: str | None
    request_id: str | None
    foreground: Foreground | None = None
    confidence: float | None = None
    path: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes = field(default=b"", repr=False)

    @property
    def data(self) -> bytes:
        """The file's bytes. Empty where the result went to a stream of the caller's."""
        return self.path.read_bytes() if self.path else self.content

    @property
    def extension(self) -> str:
        """The usual one of its format, without the dot."""
        return extension_of(self.media_type)

    def save(self, path: str | Path) -> Path:
        """Write it to a file, and return the file's path."""
        target = Path(path)
        target.write_bytes(self.data)
        return target

    def image(self) -> Image:
        """As a Pillow image. Needs Pillow."""
        from PIL import Image

        return Image.open(io.BytesIO(self.data))


def extension_of(media_type: str) -> str:
    """`jpg` of `image/jpeg`, and so on."""
    name = media_type.partition(";")[0].strip().rpartition("/")[2]
    return {"jpeg": "jpg", "x-ms-bmp": "bmp"}.get(name, name)


def cutout_of(answer: Answer) -> Cutout:
    """The result in an answer of `/rmbg`, or of a batch's item."""
    headers = answer.headers
    return Cutout(
        media_type=headers.get("content-type", ""),
        width=_integer(headers.get("x-width")),
        height=_integer(headers.get("x-height")),
        credits_charged=_credits(headers.get("x-credits-charged")),
        model=headers.get("x-model"),
        request_id=headers.get("x-request-id"),
        foreground=_foreground(headers),
        confidence=_number(headers.get("x-confidence")),
        path=answer.target.path,
        headers=headers,
        content=answer.target.data,
    )


@dataclass(frozen=True)
class BillingCycle:
    """The included credits of one window of time, by the seconds at which it starts and ends."""

    period_start_unix: int
    period_end_unix: int
    app_usage: float
    api_usage: float
    included_credits: float | None = None
    prepaid_credits: float | None = None
    used_included_credits: float | None = None
    remaining_included_credits: float | None = None
    stripe_billing_synced: bool | None = None


@dataclass(frozen=True)
class Usage:
    """Plan, credits and usage of the key's owner.

    `credits` is the plan's included allowance; `app_usage` and `api_usage` are the included credits used in the month or
    window asked for.
    """

    membership: str
    credits: int
    prepaid_credits: float
    app_usage: float
    api_usage: float
    billing_cycle: BillingCycle | None = None

    @property
    def remaining(self) -> float | None:
        """Credits left, prepaid ones included. Known where the billing cycle was asked for."""
        if self.billing_cycle is None or self.billing_cycle.remaining_included_credits is None:
            return None
        return self.billing_cycle.remaining_included_credits + self.prepaid_credits


def usage_of(body: Mapping[str, Any]) -> Usage:
    """From the API's JSON."""
    cycle = body.get("billingCycle")
    return Usage(
        membership=body["membership"],
        credits=body["credits"],
        prepaid_credits=body["prepaidCredits"],
        app_usage=body["app_usage"],
        api_usage=body["api_usage"],
        billing_cycle=cycle_of(cycle) if cycle else None,
    )


def cycle_of(body: Mapping[str, Any]) -> BillingCycle:
    """From the API's JSON."""
    names = {name: _camel(name) for name in BillingCycle.__dataclass_fields__}
    return BillingCycle(**{name: body[key] for name, key in names.items() if key in body})


class Model(TypedDict):
    """A model that the server offers. A fact is None where it is not known.

    `version` pins the weights: `name@version`. `speed` is fast, medium or slow. `price` is in credits for one image.
    """

    name: str
    version: str | None
    licence: str | None
    commercial_use: bool | None
    speed: Literal["fast", "medium", "slow"] | None
    price: float
    default: bool


@dataclass(frozen=True)
class Result:
    """One of several results of an image. `name` is the output's; `bytes` is the file's size."""

    name: str | None
    media_type: str
    width: int
    height: int
    bytes: int
    foreground: Foreground
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def extension(self) -> str:
        """The usual one of its format, without the dot."""
        return extension_of(self.media_type)


@dataclass(frozen=True)
class Item:
    """One image of a batch. `code` and `error` say why there is no result; `bytes` is the result's size.

    `results` are all of them, where the batch was made with `outputs`; the other facts are then those of the first.
    """

    index: int
    name: str
    status: str
    code: str | None = None
    error: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    model: str | None = None
    image_url: str | None = None
    results: tuple[Result, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_done(self) -> bool:
        """Whether it has a result."""
        return self.status == "done"


@dataclass(frozen=True)
class Batch:
    """A batch as the server described it last. `counts` are images by state; `facts` is all of the server's JSON."""

    id: str
    status: str
    counts: Mapping[str, int]
    credits_held: float
    credits_charged: float
    items: tuple[Item, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to its images."""
        return self.status != "processing"


def batch_of(body: Mapping[str, Any]) -> Batch:
    """From the API's JSON."""
    return Batch(
        id=body["id"],
        status=body["status"],
        counts=body["counts"],
        credits_held=body["credits"]["held"],
        credits_charged=body["credits"]["charged"],
        items=tuple(_item_of(item) for item in body.get("items", ())),
        facts=body,
    )


def _item_of(body: Mapping[str, Any]) -> Item:
    known = {name: body[name] for name in Item.__dataclass_fields__ if name in body}
    known["results"] = tuple(_result_of(result) for result in body.get("results", ()))
    return Item(**known, facts=body)


def _result_of(body: Mapping[str, Any]) -> Result:
    known = {name: body[name] for name in ("name", "media_type", "width", "height", "bytes")}
    return Result(**known, foreground=Foreground(*body["foreground"]), facts=body)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _foreground(headers: Mapping[str, str]) -> Foreground | None:
    sides = (_integer(headers.get(f"x-foreground-{side}")) for side in ("left", "top", "width", "height"))
    left, *rest = sides
    return None if left is None else Foreground(left, *(side or 0 for side in rest))


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _credits(text: str | None) -> float | None:
    """An integer unless there is a fraction."""
    value = _number(text)
    return int(value) if value is not None and value.is_integer() else value


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
