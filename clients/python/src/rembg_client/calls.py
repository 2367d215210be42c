"""Each call as a generator: it yields requests and pauses, and returns the result.

The synchronous and the asynchronous client differ only in how they carry these out, so no rule is written twice.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from rembg_client.errors import ConnectionFailed, InvalidInput, InvalidResponse, RateLimited, RembgError, TimedOut
from rembg_client.exchange import Answer, Deadline, ProgressListener, Request
from rembg_client.options import BatchOutput, form_fields, outputs_field
from rembg_client.results import Batch, BillingCycle, Cutout, Model, Usage, batch_of, cutout_of, cycle_of, usage_of
from rembg_client.sources import Address, ImageSource, Part, read_source
from rembg_client.targets import Output, target_of

T = TypeVar("T")

# An earlier try under the same key, whose connection broke, is still running.
STILL_RUNNING = "idempotency_in_progress"
PASSING_STATUSES = (502, 503, 504)
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 8.0
# Between two looks at a batch: short at first, for small batches.
FIRST_POLL_SECONDS = 0.5
LONGEST_POLL_SECONDS = 5.0
# The most that the server lists at once.
PAGE = 100


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Step: TypeAlias = Request | Pause
Call: TypeAlias = Generator[Step, Answer, T]


@dataclass(frozen=True)
class Limits:
    """How long a call may take, and how often a try that failed for a passing reason is repeated."""

    deadline: Deadline
    retries: int


def repeated(request: Request, limits: Limits) -> Call[Answer]:
    """One request, repeated after failures that may pass, as late as the server asks or later each time.

    Waiting for a try that is still running is not counted: only the time limit ends it. A pause that does not fit into the
    time limit is not begun.
    """
    failures = 0
    while True:
        try:
            return (yield request)
        except RembgError as error:
            if not may_pass(error):
                raise
            if error.code != STILL_RUNNING or not limits.retries:
                failures += 1
            pause = pause_after(error, failures)
            if failures > limits.retries or not limits.deadline.fits(pause):
                raise
        yield Pause(pause)


def may_pass(error: RembgError) -> bool:
    """Whether the same request may succeed later."""
    passing = isinstance(error, (ConnectionFailed, RateLimited)) and not isinstance(error, TimedOut)
    return passing or error.code == STILL_RUNNING or error.status in PASSING_STATUSES


def pause_after(error: RembgError, failures: int) -> float:
    """Seconds to wait after the nth failure.

    The random part keeps callers that failed together from coming back together.
    """
    if error.retry_after is not None:
        return error.retry_after
    longest = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** max(0, failures - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def remove_background(
    limits: Limits,
    image: ImageSource,
    output: Output,
    idempotency_key: str | None,
    on_upload: ProgressListener | None,
    bg_image: ImageSource | None,
    options: Mapping[str, Any],
) -> Call[Cutout]:
    """`POST /rmbg`."""
    fields, parts = dict(form_fields(options)), list[tuple[str, Part]]()
    _add_image("image", image, fields, parts)
    _add_background(bg_image, fields, parts)
    request = Request(
        "POST", "/rmbg", "image/", headers=_idempotency(idempotency_key),
        fields=fields, parts=parts, target=target_of(output), on_upload=on_upload,
    )  # fmt: skip
    return cutout_of((yield from repeated(request, limits)))


def _add_image(
    field: str, image: ImageSource, fields: MutableMapping[str, Any], parts: MutableSequence[tuple[str, Part]]
) -> None:
    """Add an image to a form: its file, or its address under the field's name with `_url`."""
    source = read_source(image)
    if isinstance(source, Address):
        fields[f"{field}_url"] = source.url
    else:
        parts.append((field, source))


def _add_background(
    bg_image: ImageSource | None, fields: MutableMapping[str, Any], parts: MutableSequence[tuple[str, Part]]
) -> None:
    if bg_image is None:
        return
    if "bg_image_url" in fields:
        raise InvalidInput("bg_image and bg_image_url cannot be used together")
    _add_image("bg_image", bg_image, fields, parts)


def membership_usage(limits: Limits, parameters: Mapping[str, Any]) -> Call[Usage]:
    """`GET /api/membership-usage`."""
    return usage_of((yield from _usage(limits, parameters)))


def usage_parameters(
    year: int | None, month: int | None, period_start_unix: int | None, billing_cycle: bool
) -> dict[str, Any]:
    """The query of `membership_usage`."""
    expand = "billing_cycle" if billing_cycle else None
    return {"year": year, "month": month, "periodStartUnix": period_start_unix, "expand": expand}


def billing_cycles(limits: Limits) -> Call[list[BillingCycle]]:
    """All billing cycles, the newest first."""
    body = yield from _usage(limits, {"listBillingCycles": True})
    return [cycle_of(cycle) for cycle in body["billingCycles"]]


def _usage(limits: Limits, parameters: Mapping[str, Any]) -> Call[Any]:
    params = {name: _text(value) for name, value in parameters.items() if value is not None and value is not False}
    return (yield from repeated(Request("GET", "/api/membership-usage", params=params), limits)).json


def models(limits: Limits) -> Call[list[Model]]:
    """`GET /api/models`."""
    answer = yield from repeated(Request("GET", "/api/models"), limits)
    rows = answer.json.get("models") if isinstance(answer.json, dict) else answer.json
    if not isinstance(rows, list):
        raise InvalidResponse("The answer is not a list of models", status=200)
    return rows


def create_batch(
    limits: Limits,
    images: Iterable[ImageSource],
    zips: Iterable[ImageSource],
    callback_url: str | None,
    idempotency_key: str | None,
    on_upload: ProgressListener | None,
    bg_image: ImageSource | None,
    outputs: Iterable[BatchOutput] | None,
    options: Mapping[str, Any],
) -> Call[Batch]:
    """`POST /api/batches`."""
    sources = [read_source(image) for image in images]
    fields: dict[str, str | Sequence[str]] = dict(form_fields(options))
    addresses = [source.url for source in sources if isinstance(source, Address)]
    if addresses:
        fields["image_url"] = addresses
    if callback_url:
        fields["callback_url"] = callback_url
    if outputs is not None:
        fields["outputs"] = outputs_field(outputs)
    parts = [("image", source) for source in sources if isinstance(source, Part)]
    parts += [("zip", _packed(archive)) for archive in zips]
    _add_background(bg_image, fields, parts)
    request = Request(
        "POST", "/api/batches", headers=_idempotency(idempotency_key), fields=fields, parts=parts, on_upload=on_upload
    )
    return batch_of((yield from repeated(request, limits)).json)


def _packed(archive: ImageSource) -> Part:
    source = read_source(archive)
    if isinstance(source, Address):
        raise InvalidInput("A zip cannot be fetched from an address; send its file")
    return source


def read_batch(limits: Limits, batch: Batch | str, *, items: bool = True) -> Call[Batch]:
    """`GET /api/batches/ID`."""
    params = {} if items else {"items": "0"}
    request = Request("GET", batch_path(batch), params=params)
    return batch_of((yield from repeated(request, limits)).json)


def list_batches(limits: Limits, before: Batch | str | None) -> Call[list[Batch]]:
    """One page of `GET /api/batches`, the newest first."""
    params = {"limit": str(PAGE)} | ({"before": id_of(before)} if before else {})
    answer = yield from repeated(Request("GET", "/api/batches", params=params), limits)
    return [batch_of(body) for body in answer.json["batches"]]


def wait_for_batch(
    limits: Limits, batch: Batch | str, on_progress: Callable[[Batch], None] | None, poll: float | None
) -> Call[Batch]:
    """Ask again and again until the batch has ended. `poll` is in seconds; None begins short and grows."""
    pause = poll or FIRST_POLL_SECONDS
    while True:
        current = yield from read_batch(limits, batch, items=False)
        if on_progress:
            on_progress(current)
        if current.has_ended:
            return (yield from read_batch(limits, batch))
        if not limits.deadline.fits(pause):
            raise limits.deadline.error()
        yield Pause(pause)
        pause = poll or min(LONGEST_POLL_SECONDS, pause * 1.5)


def download_batch(limits: Limits, batch: Batch | str, output: Output) -> Call[Answer]:
    """`GET /api/batches/ID/zip`."""
    request = Request("GET", f"{batch_path(batch)}/zip", "application/zip", target=target_of(output))
    return (yield from repeated(request, limits))


def download_item(limits: Limits, batch: Batch | str, index: int, output: Output, result: int | None) -> Call[Cutout]:
    """`GET /api/batches/ID/items/INDEX`, or that of one of several results."""
    path = f"{batch_path(batch)}/items/{int(index)}" + ("" if result is None else f"/results/{int(result)}")
    request = Request("GET", path, "image/", target=target_of(output))
    return cutout_of((yield from repeated(request, limits)))


def cancel_batch(limits: Limits, batch: Batch | str) -> Call[Batch]:
    """`POST /api/batches/ID/cancel`."""
    return batch_of((yield from repeated(Request("POST", f"{batch_path(batch)}/cancel"), limits)).json)


def delete_batch(limits: Limits, batch: Batch | str) -> Call[None]:
    """`DELETE /api/batches/ID`."""
    yield from repeated(Request("DELETE", batch_path(batch)), limits)


def id_of(batch: Batch | str) -> str:
    """The id of a batch. Raises InvalidInput for a text that is none: it becomes part of a path."""
    text = batch.id if isinstance(batch, Batch) else str(batch)
    try:
        return str(UUID(text))
    except ValueError:
        raise InvalidInput(f"{text!r} is not the id of a batch") from None


def batch_path(batch: Batch | str) -> str:
    """Its path. The server's own `url` is not used: a key goes to no address that an answer names."""
    return f"/api/batches/{id_of(batch)}"


def _idempotency(key: str | None) -> dict[str, str]:
    text = str(uuid.uuid4()) if key is None else key
    if not is_visible_ascii(text):
        raise InvalidInput("An idempotency key is 1 to 255 visible ASCII characters")
    return {"idempotency-key": text}


def is_visible_ascii(text: str) -> bool:
    """Whether a header can hold it."""
    return bool(text) and len(text) <= 255 and all("!" <= letter <= "~" for letter in text)


def _text(value: Any) -> str:
    return "true" if value is True else str(value)
