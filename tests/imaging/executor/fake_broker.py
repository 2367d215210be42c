"""Replaces the broker: published messages go to workers in threads of the test's process, or are lost."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.test import Client
from PIL import Image

from billing.models import Hold
from imaging.executor import store, worker
from tests.conftest import EllipseMatte, encoded
from tests.imaging.removal.forms import form

WAIT = 10


class FakeBroker:
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
        """No worker takes it."""

    def join(self) -> None:
        """Return once every worker is done."""
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


class HeldModel(EllipseMatte):
    """A model that blocks until the test releases it."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.times = 0

    def predict(self, image: Image.Image) -> Any:
        self.times += 1
        self.begun.release()
        assert self.go_on.acquire(timeout=WAIT)
        return super().predict(image)


def left() -> list[bytes]:
    return [key for key in store.get_redis().keys("imaging:*") if b"}" in key]  # type: ignore[union-attr]


def lose_everything() -> None:
    for key in left():
        store.get_redis().delete(key)


def send(key: str, picture: bytes, **fields: str) -> Any:
    return Client(raise_request_exception=False).post("/rmbg", **form(picture, **fields), headers={"x-api-key": key})


def broken_png() -> bytes:
    """A valid header, and pixels that end early."""
    picture = encoded(Image.effect_noise((64, 64), 50).convert("RGB"))
    return picture[:2000] + bytes(500)


def states() -> list[str]:
    return list(Hold.objects.values_list("state", flat=True))
