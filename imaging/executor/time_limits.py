"""What becomes of an image over which a worker's process was ended by its hard time limit.

A worker's main process acknowledges such a task, so that the broker gives it to no other worker. It also says what became of
the image, in place of the process that was ended; else the next attempt would come to the same end.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery import Task
from celery.worker.request import Request

logger = logging.getLogger(__name__)


class ImageRequest(Request):  # type: ignore[misc]
    """A task as the worker's main process sees it."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Called when a time limit has passed."""
        super().on_timeout(soft, timeout)
        if not soft:
            try:
                self.task.give_up(*self.args)
            except Exception:
                # Then the attempts are counted, as for any process that is lost.
                logger.exception("an image that took too long could not be refused")


class ImageTask(Task):  # type: ignore[misc]
    """A task that works on one image. `give_up` takes its arguments, and ends the image as one that took too long."""

    Request = ImageRequest
    give_up: Callable[..., Any]
