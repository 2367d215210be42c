"""Prepares a Celery worker's process for cutouts: its memory, its model, its presence.

Only if it consumes from `inference` or `batch`: a mail worker loads no model. For `inference` the model is loaded before the
first image, in each process after the fork, which no session of onnxruntime survives; for `batch` with the first image.
"""

import logging
import time
from typing import Any

from celery import current_app
from celery.concurrency.prefork import TaskPool as Prefork
from celery.signals import celeryd_after_setup, worker_process_init
from django.conf import settings

from imaging.core.memory import bound_heaps
from imaging.core.weights.files import weights_ready
from imaging.executor import presence, runtime

logger = logging.getLogger(__name__)

# The pause before a process without a model exits: it would be restarted at once.
PAUSE_SECONDS = 5.0


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def check_worker(instance: Any, **kwargs: Any) -> None:
    """Check the configuration in the worker's first process. Raises SystemExit if it could not process images."""
    unknown = _queues() - set(settings.QUEUES.values())
    if unknown:
        logger.warning("nothing is sent to these queues; see CELERY_QUEUE", extra={"queues": sorted(unknown)})
    if not _processes_images():
        return
    if not weights_ready(settings.IMAGING_MODEL):
        raise SystemExit(f"The weights of {settings.IMAGING_MODEL} are not there. Run `manage.py prepare_model`.")
    # Other pools work in threads of this process, or in the process itself.
    if not issubclass(instance.pool_cls, Prefork):
        # No more than its own gate admits.
        prepare(places=min(instance.concurrency, settings.IMAGING_SLOTS))


@worker_process_init.connect  # type: ignore[untyped-decorator]
def prepare_process(**kwargs: Any) -> None:
    """Prepare each process of the pool, after the fork."""
    if _processes_images():
        prepare()


def prepare(places: int = 1) -> None:
    """Get ready to work on `places` images at once in this process. Raises SystemExit if the model cannot be loaded."""
    bound_heaps()
    runtime.become_worker()
    if settings.IMAGING_EXECUTOR == "celery" and settings.QUEUES["inference"] in _queues():
        runtime.warm_up()
        if not runtime.is_ready():
            # Celery replaces this process. Better no process than one that fails every image.
            time.sleep(PAUSE_SECONDS)
            raise SystemExit(1)
        presence.keep_announcing(runtime.model_name(), places)


def _processes_images() -> bool:
    return not _queues().isdisjoint({settings.QUEUES["inference"], settings.QUEUES["batch"]})


def _queues() -> set[str]:
    """The queues that this worker consumes from."""
    return set(current_app.amqp.queues.consume_from)
