"""The worker's side: claims a job that a caller waits for, does the work as a web process would, reports the outcome."""

import io
import json
import logging
import uuid
from functools import partial

import redis
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from imaging.core.options import UnknownOption
from imaging.core.pipeline import Cutout
from imaging.core.problems import CallerGone, ImageRefused, too_slow
from imaging.executor import jobs, payloads, runtime, store
from imaging.executor.gate import Busy
from imaging.executor.jobs import Job

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
    text, attempts = begun
    with store.kept(job_id, worker):
        if attempts > MAX_ATTEMPTS:
            logger.error("an image has cost several workers", extra={"job": job_id, "attempts": attempts})
            return store.answer(job_id, jobs.CRASHED)
        image = payloads.find_image(job_id)
        if image is None:
            return False
        try:
            job = Job.from_json(text, io.BytesIO(image), _find_background(job_id, text))
            cutout = runtime.execute(job, still_wanted=partial(_is_wanted, job_id))
        except CallerGone:
            return False
        except UnknownOption:
            # Without an answer the web process sends the job again, until a worker of its own release takes it.
            logger.warning("a job has options of a newer release", extra={"job": job_id})
            return False
        except Exception as error:
            return store.answer(job_id, _failure(error))
        return _deliver(job_id, worker, cutout)


def give_up(job_id: str) -> None:
    """Report that the image took too long and its worker's process was killed. Raises redis.RedisError."""
    store.answer(job_id, jobs.refused(_too_slow()))


def _too_slow() -> ImageRefused:
    return ImageRefused(too_slow(settings.IMAGING_SECONDS))


def _find_background(job_id: str, text: str | bytes) -> io.BytesIO | None:
    """The file of the background image that the job names. Raises CallerGone without it: then no one waits."""
    if "background" not in json.loads(text):
        return None
    background = payloads.find_image(job_id, payloads.BACKGROUND)
    if background is None:
        raise CallerGone
    return io.BytesIO(background)


def _is_wanted(job_id: str) -> bool:
    try:
        return store.is_wanted(job_id)
    except redis.RedisError:
        # The web process waits for Redis to return, and so may the work.
        return True


def _failure(error: Exception) -> str:
    """The outcome of a job whose work raised `error`."""
    if isinstance(error, ImageRefused):
        return jobs.refused(error)
    if isinstance(error, SoftTimeLimitExceeded):
        return jobs.refused(_too_slow())
    if isinstance(error, Busy):
        return jobs.BUSY
    logger.error("an image could not be processed", exc_info=error)
    return jobs.CRASHED


def _deliver(job_id: str, worker: str, cutout: Cutout) -> bool:
    # Leave no trace of the image once its caller has gone.
    if not store.is_wanted(job_id):
        return False
    names: list[str] = []
    was_wanted = False
    try:
        for number, result in enumerate((cutout, *cutout.more)):
            # The first has the name that it has alone.
            names.append(payloads.put_result(job_id, f"{worker}-{number}" if number else worker, result.data))
        was_wanted = store.answer(job_id, jobs.delivered(cutout, names))
    finally:
        if not was_wanted:
            _remove(job_id, *names)
    return was_wanted


def _remove(job_id: str, *names: str) -> None:
    try:
        payloads.remove(job_id, *names)
    except payloads.AWAY:
        return  # in Redis it expires, in a storage it is swept
