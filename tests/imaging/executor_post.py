"""In place of the broker: what was published, given to workers in threads of the test's process, or not."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from imaging.executor import worker


class Post:
    """`tasks.cut_out.apply_async`. Each message is delivered at once by `deliver`, which a test may replace."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.wanted: list[bool] = []
        self.deliver: Callable[[str], None] = self.to_worker
        self._threads: list[threading.Thread] = []

    def __call__(self, args: tuple[str], **options: Any) -> None:
        self.jobs.append(args[0])
        self.deliver(args[0])

    def to_worker(self, job_id: str, *, redelivered: bool = False) -> None:
        """A worker takes the message."""

        def run() -> None:
            with suppress(SystemExit):
                self.wanted.append(worker.work(job_id, redelivered=redelivered))

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()

    def lose(self, job_id: str) -> None:
        """Nobody takes it."""

    def join(self) -> None:
        """Return once every worker is done."""
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
