"""The asynchronous client. What it does is in `rembg_client.calls`; here is how it is carried out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import httpx

from rembg_client import calls
from rembg_client.calls import Call, Limits, Pause, Step
from rembg_client.errors import RembgError
from rembg_client.exchange import Answer, Deadline, ProgressListener, Reception, Request, translated
from rembg_client.results import Batch, BillingCycle, Cutout, Model, Usage
from rembg_client.settings import Settings
from rembg_client.sources import ImageSource
from rembg_client.targets import Output

if TYPE_CHECKING:
    from rembg_client.options import BatchOutput, Options

    if sys.version_info >= (3, 11):
        from typing import Self, Unpack
    else:
        from typing_extensions import Self, Unpack

P = ParamSpec("P")
T = TypeVar("T")


class AsyncClient(Settings):
    """The asynchronous client, for asyncio. Tasks may share one."""

    def __init__(
        self, api_key: str | None = None, *, transport: httpx.AsyncBaseTransport | None = None, **settings: Any
    ) -> None:
        super().__init__(api_key, **settings)
        self._http = httpx.AsyncClient(
            base_url=self.base_url, headers=self.headers, transport=transport, verify=self.verification()
        )
        self.batches = AsyncBatches(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def remove_background(
        self,
        image: ImageSource,
        output: Output = None,
        *,
        idempotency_key: str | None = None,
        on_upload: ProgressListener | None = None,
        bg_image: ImageSource | None = None,
        **options: Unpack[Options],
    ) -> Cutout:
        """Remove the background of one image.

        `image` is a path, an address that the server fetches, bytes, a file, a Pillow image or a numpy array of uint8. The
        result is kept in memory, or goes to `output`: a path, which appears when it is complete, or a file. `on_upload` gets
        (bytes sent, bytes in all). `bg_image` goes behind the subject, and may be whatever `image` may be. All tries carry
        one idempotency key, so that the image is charged once.

        Raises RembgError.
        """
        return await self.run(calls.remove_background, image, output, idempotency_key, on_upload, bg_image, options)

    async def membership_usage(
        self,
        *,
        year: int | None = None,
        month: int | None = None,
        period_start_unix: int | None = None,
        billing_cycle: bool = False,
    ) -> Usage:
        """Plan, credits and usage of the key's owner: of a calendar month in UTC, or of a billing window by its start."""
        return await self.run(calls.membership_usage, calls.usage_parameters(year, month, period_start_unix, billing_cycle))

    async def billing_cycles(self) -> list[BillingCycle]:
        """All billing cycles, the newest first."""
        return await self.run(calls.billing_cycles)

    async def models(self) -> list[Model]:
        """The models that the server offers, as it describes them; the default first."""
        return await self.run(calls.models)

    async def run(self, call: Callable[Concatenate[Limits, P], Call[T]], *arguments: P.args, **named: P.kwargs) -> T:
        """Carry out one of `rembg_client.calls`, within the client's limits."""
        return await self.carry_out(self.limits(), call, *arguments, **named)

    async def carry_out(
        self, limits: Limits, call: Callable[Concatenate[Limits, P], Call[T]], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The same within other limits."""
        steps = call(limits, *arguments, **named)
        go_on: Callable[[Any], Any] = steps.send
        value: Any = None
        try:
            while True:
                step = go_on(value)
                try:
                    value = await self._take(step, limits.deadline)
                    go_on = steps.send
                except RembgError as error:
                    go_on, value = steps.throw, error
        except StopIteration as end:
            result: T = end.value
            return result

    async def _take(self, step: Step, deadline: Deadline) -> Answer | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        return await self._send(step, deadline)

    async def _send(self, request: Request, deadline: Deadline) -> Answer:
        with translated(deadline), request.prepared(deadline) as arguments:
            async with self._http.stream(**arguments) as response:
                with Reception(request, response.status_code, response.headers, deadline) as reception:
                    async for chunk in response.aiter_bytes():
                        reception.take(chunk)
                return reception.answer()


class AsyncBatches:
    """Many images in one request: `client.batches`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(
        self,
        images: Iterable[ImageSource] = (),
        *,
        zips: Iterable[ImageSource] = (),
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        on_upload: ProgressListener | None = None,
        bg_image: ImageSource | None = None,
        outputs: Iterable[BatchOutput] | None = None,
        **options: Unpack[Options],
    ) -> Batch:
        """Send up to 500 images, 2 GB in all, with one set of options. Returns as soon as they have arrived.

        `bg_image` goes behind every subject. `outputs` are up to five results of each image, for one credit.
        """
        return await self._client.run(
            calls.create_batch, images, zips, callback_url, idempotency_key, on_upload, bg_image, outputs, options
        )

    async def get(self, batch: Batch | str, *, items: bool = True) -> Batch:
        """The batch as it is now. `batch` may be its id."""
        return await self._client.run(calls.read_batch, batch, items=items)

    async def list(self) -> AsyncIterator[Batch]:
        """All batches of the account, the newest first, without their items."""
        before: Batch | None = None
        while page := await self._client.run(calls.list_batches, before):
            for batch in page:
                yield batch
            before = page[-1]

    async def wait(
        self,
        batch: Batch | str,
        *,
        on_progress: Callable[[Batch], None] | None = None,
        poll: float | None = None,
        timeout: float | None = None,
    ) -> Batch:
        """Wait until it has ended, and return it with its items.

        `on_progress` gets the batch at each look. `poll` is seconds between looks, by default growing from 0.5 to 5.
        `timeout` is in seconds, by default the client's; past it TimedOut is raised, and the batch goes on.
        """
        return await self._client.carry_out(self._client.limits(timeout), calls.wait_for_batch, batch, on_progress, poll)

    async def download(self, batch: Batch | str, output: Output) -> None:
        """Write a zip of all results that are there to a path or a file."""
        await self._client.run(calls.download_batch, batch, output)

    async def download_item(
        self, batch: Batch | str, index: int, output: Output = None, *, result: int | None = None
    ) -> Cutout:
        """One result, kept in memory or written to a path or a file. `result` is which of several, counted from 0."""
        return await self._client.run(calls.download_item, batch, index, output, result)

    async def cancel(self, batch: Batch | str) -> Batch:
        """Stop it. What is not done costs nothing; results stay."""
        return await self._client.run(calls.cancel_batch, batch)

    async def delete(self, batch: Batch | str) -> None:
        """Stop it and erase its images."""
        await self._client.run(calls.delete_batch, batch)
