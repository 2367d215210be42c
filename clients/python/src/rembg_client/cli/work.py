"""Works through many images at once, as fast as the plan's limits allow."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rembg_client.calls import may_pass, pause_after
from rembg_client.cli.journal import Journal
from rembg_client.cli.plan import Job
from rembg_client.client import Client
from rembg_client.errors import ConnectionFailed, NotAllowed, OutOfCredits, RateLimited, Refused, RembgError
from rembg_client.results import Cutout

# How often the same image is tried again after broken connections; a wait that the server asks for does not count.
RETRIES = 3
# How long one image may be put off by a server that is busy.
PATIENCE_SECONDS = 600.0
# The server asks for a second where too many requests run at the same time, for more where a minute's are used up.
CONCURRENCY_SECONDS = 2.0
# One more at the same time is tried after so many successes in a row.
SUCCESSES_TO_GROW = 20
# A key stands for another request, or was used too often: a new one is paid for again, and right.
WORN_KEYS = ("idempotency_key_reused", "idempotency_key_used_up")
REMAINING = re.compile(r'"minute";r=(\d+);t=(\d+)')


@dataclass(frozen=True)
class Report:
    """What became of one image. `status` is done, failed, current (nothing to do) or planned."""

    job: Job
    status: str
    output: Path | None = None
    code: str = ""
    error: str = ""
    cutout: Cutout | None = None
    request_id: str | None = None


@dataclass
class Summary:
    """What became of all. `stopped_by` is set where the rest could not be sent; `interrupted` where a person stopped it."""

    total: int = 0
    done: int = 0
    current: int = 0
    credits: float = 0
    failed: list[Report] = field(default_factory=list)
    stopped_by: RembgError | None = None
    interrupted: bool = False

    @property
    def left(self) -> int:
        """Images that were not reached."""
        return self.total - self.done - self.current - len(self.failed)

    def add(self, report: Report) -> None:
        """Count one."""
        self.done += report.status == "done"
        self.current += report.status == "current"
        if report.status == "failed":
            self.failed.append(report)
        if report.cutout:
            self.credits = round(self.credits + (report.cutout.credits_charged or 0), 2)


class Throttle:
    """How many requests may run at the same time, and from when: it follows what the server answers."""

    def __init__(self, most: int) -> None:
        self._most = self.allowed = most
        self._running = self._successes = 0
        self._not_before = 0.0
        self._condition = threading.Condition()
        self._closed = False

    def enter(self) -> bool:
        """Wait for a turn. False if there are none any more."""
        with self._condition:
            while not self._closed:
                delay = self.delay()
                if delay <= 0 and self._running < self.allowed:
                    self._running += 1
                    return True
                self._condition.wait(delay if delay > 0 else None)
            return False

    def delay(self) -> float:
        """Seconds until the next request may begin."""
        return max(0.0, self._not_before - time.monotonic())

    def leave(self) -> None:
        """A request has ended."""
        with self._condition:
            self._running -= 1
            self._condition.notify_all()

    def succeeded(self, headers: Mapping[str, str]) -> None:
        """A success; its `RateLimit` says how many more there may be this minute."""
        match = REMAINING.search(headers.get("ratelimit", ""))
        with self._condition:
            self._successes += 1
            if self._successes >= SUCCESSES_TO_GROW and self.allowed < self._most:
                self.allowed, self._successes = self.allowed + 1, 0
            if match and int(match[1]) == 0:
                self._pause(float(match[2]))

    def slow_down(self, error: RembgError, seconds: float) -> None:
        """The server, or the network, wants a pause."""
        with self._condition:
            self._successes = 0
            if isinstance(error, RateLimited) and seconds <= CONCURRENCY_SECONDS:
                self.allowed = max(1, self.allowed - 1)
            self._pause(seconds)

    def close(self) -> None:
        """No more turns."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _pause(self, seconds: float) -> None:
        self._not_before = max(self._not_before, time.monotonic() + seconds)
        self._condition.notify_all()


class Runner:
    """Sends images that are not done yet, `parallel` at a time. `listener` gets each report, in the caller's thread."""

    def __init__(
        self, client: Client, journal: Journal, options: Mapping[str, Any], *, parallel: int, force: bool, retry_failed: bool
    ) -> None:
        self._client, self._journal, self._options = client, journal, options
        self._force, self._retry_failed = force, retry_failed
        self._parallel = parallel
        self._throttle = Throttle(parallel)
        self._stopped_by: RembgError | None = None

    def known(self, job: Job) -> Report | None:
        """What is known of a job from before, unless it is to be done again."""
        entry = None if self._force else self._journal.find(job)
        if entry is None or (entry.error and self._retry_failed):
            return None
        if entry.error:
            return Report(job, "failed", None, entry.code, entry.error)
        return Report(job, "current", job.output)

    def run(self, jobs: Iterable[Job], listener: Callable[[Report], None], summary: Summary) -> Summary:
        """Work until everything is done, nothing more can be sent, or Ctrl-C. What is being sent then is finished first."""
        # Of this run: the one before may have closed its own.
        self._throttle = Throttle(self._parallel)
        open_jobs = []
        for job in jobs:
            report = self.known(job)
            if report is None:
                open_jobs.append(job)
            else:
                summary.add(report)
                listener(report)
        with ThreadPoolExecutor(self._parallel) as pool:
            try:
                self._feed(pool, open_jobs, listener, summary)
            except KeyboardInterrupt:
                summary.interrupted = True
            finally:
                self._throttle.close()
        summary.stopped_by = self._stopped_by
        return summary

    def _feed(self, pool: ThreadPoolExecutor, jobs: list[Job], listener: Callable[[Report], None], summary: Summary) -> None:
        waiting, pending = iter(jobs), set[Future[Report | None]]()
        try:
            while True:
                # A few more than run: a folder of a million files must not become a million futures.
                while len(pending) < 2 * self._parallel and not self._stopped_by and (job := next(waiting, None)):
                    pending.add(pool.submit(self._work, job))
                if not pending:
                    return
                ended, pending = wait(pending, return_when=FIRST_COMPLETED)
                self._report(ended, listener, summary)
        finally:
            self._throttle.close()
            self._report(wait(pending).done, listener, summary)

    def _report(self, ended: Iterable[Future[Report | None]], listener: Callable[[Report], None], summary: Summary) -> None:
        for report in filter(None, (future.result() for future in ended)):
            summary.add(report)
            listener(report)

    def _work(self, job: Job) -> Report | None:
        """The report, or None for a job that was not sent."""
        try:
            cutout = self._attempt(job)
        except (NotAllowed, OutOfCredits) as error:
            # It would be the same for all others.
            self._stopped_by = error
            self._throttle.close()
            return None
        except RembgError as error:
            if isinstance(error, Refused):
                self._journal.note(job, job.output, code=error.code, error=_reason(error))
            return Report(job, "failed", None, error.code, _reason(error), request_id=error.request_id)
        if cutout is None:
            return None
        output = _final(job.output, cutout)
        self._journal.note(job, output)
        return Report(job, "done", output, cutout=cutout, request_id=cutout.request_id)

    def _attempt(self, job: Job) -> Cutout | None:
        key = str(uuid.uuid4()) if self._force else self._journal.identity(job)
        job.output.parent.mkdir(parents=True, exist_ok=True)
        failures, patience = 0, time.monotonic() + PATIENCE_SECONDS
        while self._throttle.enter():
            try:
                cutout = self._client.remove_background(job.image, job.output, idempotency_key=key, **self._options)
                self._throttle.succeeded(cutout.headers)
                return cutout
            except RembgError as error:  # noqa: PERF203 - a request takes far longer
                if error.code in WORN_KEYS:
                    key = str(uuid.uuid4())
                    continue
                failures += isinstance(error, ConnectionFailed)
                if not may_pass(error) or failures > RETRIES or time.monotonic() > patience:
                    raise
                self._throttle.slow_down(error, pause_after(error, max(1, failures)))
            finally:
                self._throttle.leave()
        return None


def _reason(error: RembgError) -> str:
    return "; ".join(problem.message for problem in error.details) or error.message


def _final(output: Path, cutout: Cutout) -> Path:
    """Under the extension that the result really has, which an option may have decided."""
    real = output.with_suffix(f".{cutout.extension}")
    is_same = output.suffix.lower() in (real.suffix, ".jpeg" if real.suffix == ".jpg" else "")
    return output if is_same or not output.suffix else output.replace(real)
