"""Handles an image on which a worker's process hit its hard time limit and was killed.

A worker's main process acknowledges such a task, so the broker gives it to no other worker. It also reports the outcome in
place of the killed process; otherwise the next attempt would end the same way.
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
        """Called when a time limit is exceeded."""
        super().on_timeout(soft, timeout)
        if not soft:
            try:
                self.task.give_up(*self.args)
            except Exception:
                # The attempts then count, as for any lost process.
                logger.exception("an image that took too long could not be refused")


class ImageTask(Task):  # type: ignore[misc]
    """A task that works on one image. `give_up` takes its arguments, and marks the image as one that took too long."""

    Request = ImageRequest
    give_up: Callable[..., Any]
