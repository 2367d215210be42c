"""The worker's side: claims a job that a caller waits for, does the work as a web process would, reports the outcome."""

import io
import logging
import uuid
from collections.abc import Callable
from functools import partial

import redis
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from imaging.core.problems import CallerGone, ImageRefused, too_slow
from imaging.executor import local, orders, payloads, store
from imaging.executor.gate import Busy
from imaging.executor.orders import Order, Outcome

logger = logging.getLogger(__name__)

# An image on which this many workers died is not given to another one.
MAX_ATTEMPTS = 5


def work(job_id: str, *, redelivered: bool = False) -> bool:
    """Do the job if a caller waits for it and no other worker has it. Return whether the answer was wanted.

    `redelivered`: the broker lost the previous worker, so that worker's claim no longer counts.
    """
    worker = uuid.uuid4().hex
    begun = store.claim(job_id, worker, take_over=redelivered)
    if begun is None:
        return False
    order, attempts = begun
    with store.kept(job_id, worker):
        if attempts > MAX_ATTEMPTS:
            logger.error("a picture has cost several workers", extra={"job": job_id, "attempts": attempts})
            return _tell(job_id, worker, orders.CRASHED)
        picture = payloads.find_picture(job_id)
        if picture is None:
            return False
        try:
            outcome = _outcome(order, picture, partial(_is_wanted, job_id))
        except CallerGone:
            return False
        return _tell(job_id, worker, outcome)


def give_up(job_id: str) -> None:
    """Report that the image took too long and its worker's process was killed. Raises redis.RedisError."""
    store.answer(job_id, orders.refused(_too_slow()).to_json())


def _too_slow() -> ImageRefused:
    return ImageRefused(too_slow(settings.IMAGING_SECONDS))


def _is_wanted(job_id: str) -> bool:
    try:
        return store.is_wanted(job_id)
    except redis.RedisError:
        # The web process waits for Redis to return, and so may the work.
        return True


def _outcome(order: bytes, picture: bytes, still_wanted: Callable[[], bool]) -> Outcome:
    try:
        delivery = local.execute(io.BytesIO(picture), Order.from_json(order), still_wanted=still_wanted)
        return orders.delivered(delivery.cutout)
    except ImageRefused as refusal:
        return orders.refused(refusal)
    except CallerGone:
        raise
    except SoftTimeLimitExceeded:
        return orders.refused(_too_slow())
    except Busy:
        return orders.BUSY
    except Exception:
        logger.exception("a picture could not be worked on")
        return orders.CRASHED


def _tell(job_id: str, worker: str, outcome: Outcome) -> bool:
    if outcome.data is None:
        return store.answer(job_id, outcome.to_json())
    # Leave no trace of the image once its caller has gone.
    if not store.is_wanted(job_id):
        return False
    name = payloads.put_result(job_id, worker, outcome.data)
    told = False
    try:
        told = store.answer(job_id, outcome.to_json(parcel=name))
    finally:
        if not told:
            _remove(job_id, name)
    return told


def _remove(job_id: str, name: str) -> None:
    try:
        payloads.remove(job_id, name)
    except payloads.AWAY:
        return  # in Redis it expires, in a storage it is swept
