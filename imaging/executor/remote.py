"""The web process's side: hands an image to a worker, waits for the answer, and makes sure that a worker is on the job.

Nothing here relies on the broker keeping a message: a job that a worker lost, or that no worker started for a while, is
published again. See `store` for why that never produces two answers.
"""

import dataclasses
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings

from imaging.core.pipeline import Cutout
from imaging.core.problems import CallerGone
from imaging.executor import jobs, models, payloads, runtime, store, tasks
from imaging.executor.gate import Busy
from imaging.executor.jobs import QUEUE, Job
from lib.ops import broker

logger = logging.getLogger(__name__)

# The broker may have lost a job that no worker has started for this long. A second message costs a worker 2 ms.
RESEND_SECONDS = 5.0
# Between retries while Redis is down.
PAUSE_SECONDS = 0.2


def execute(job: Job, *, still_wanted: Callable[[], bool] | None = None) -> Cutout:
    """Have a worker cut out the image of `job`, when its requester's turn comes.

    Raises Busy when too many wait in this process already, or no answer came within IMAGING_QUEUE_SECONDS;
    ImageRefused for an image that does not decode or takes too long; WorkFailed if the worker crashed on it; LeftQueue or
    CallerGone once `still_wanted` is False: the worker then stops too.
    """
    started = time.monotonic()
    runtime.adjust_gate()
    with runtime.get_gate().admit(runtime.weight(job), job.requester, still_wanted):
        return _Handover(job, started, still_wanted).wait()


class _Handover:
    """A job on its way to a worker and back."""

    def __init__(self, job: Job, started: float, still_wanted: Callable[[], bool] | None) -> None:
        """`started` is when the caller began to wait."""
        self.id = uuid.uuid4().hex
        self.job = job
        self.files = {payloads.IMAGE: job.file}
        if job.background is not None:
            self.files[payloads.BACKGROUND] = job.background.file
        self.started = started
        self.still_wanted = still_wanted
        self.deadline = self.started + settings.IMAGING_QUEUE_SECONDS
        self.is_handed_over = False
        self.published: float | None = None
        self.was_claimed = False

    def wait(self) -> Cutout:
        """Wait for the answer; the job is always cleaned up."""
        results: list[str] = []
        try:
            facts = self._facts()
            results = jobs.payload_names(facts)
            return self._timed(jobs.cutout_from(facts, [self._fetch(name) for name in results]))
        finally:
            self._forget(results)

    def _facts(self) -> dict[str, Any]:
        """Wait for an answer until the deadline, through outages. Raises Busy, or CallerGone."""
        while (remaining := self.deadline - time.monotonic()) > 0:
            if self.still_wanted is not None and not self.still_wanted():
                raise CallerGone
            try:
                if not self.is_handed_over:
                    self._hand_over()
                view = store.wait(self.id, remaining)
                if view.facts is not None:
                    return view.facts
                self._look_after(view)
            except payloads.AWAY as error:
                logger.warning("Redis or the storage is away, trying again", extra={"job": self.id, "error": str(error)})
                time.sleep(min(PAUSE_SECONDS, remaining))
        logger.warning("no worker has answered in time", extra={"job": self.id})
        raise Busy

    def _look_after(self, view: store.View) -> None:
        if not (view.exists and all(payloads.renew_image(self.id, name) for name in self.files)):
            # Redis was restarted or evicted the job.
            self._hand_over()
        elif view.is_claimed:
            self.was_claimed = True
        elif self.was_claimed or self._is_overdue():
            self._publish()

    def _is_overdue(self) -> bool:
        return self.published is None or time.monotonic() - self.published >= RESEND_SECONDS

    def _hand_over(self) -> None:
        for name, file in self.files.items():
            file.seek(0)
            payloads.put_image(self.id, file.read(), name)
        store.put(self.id, self.job.to_json())
        self.is_handed_over = True
        self._publish()

    def _publish(self) -> None:
        self.was_claimed = False
        try:
            queue = models.queue_of(models.name_of(self.job.options.model))
            tasks.cut_out.apply_async((self.id,), expiration=settings.IMAGING_QUEUE_SECONDS, queue=queue)
            self.published = time.monotonic()
        except broker.errors() as error:
            logger.warning("the broker is away, trying again", extra={"job": self.id, "error": str(error)})
            self.published = None

    def _fetch(self, name: str) -> bytes:
        while True:
            try:
                data = payloads.find_result(self.id, name)
            except payloads.AWAY:
                if time.monotonic() >= self.deadline:
                    raise Busy from None
                time.sleep(PAUSE_SECONDS)
                continue
            if data is None:
                # Lost between the answer and now. The caller tries again; nothing was charged.
                raise Busy
            return data

    def _timed(self, cutout: Cutout) -> Cutout:
        elapsed = time.monotonic() - self.started
        # Clocks of two machines differ: any time that was not work counts as waiting and transit.
        queued = max(0.0, elapsed - sum(cutout.timings.values()))
        return dataclasses.replace(cutout, timings={QUEUE: queued, **cutout.timings})

    def _forget(self, results: list[str]) -> None:
        try:
            store.forget(self.id)
            payloads.remove(self.id, *self.files, *results)
        except payloads.AWAY as error:
            # In Redis it expires, in a storage it is swept.
            logger.warning("a job could not be removed", extra={"job": self.id, "error": str(error)})
