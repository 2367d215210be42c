"""Processes one batch item, in a Celery worker or in a thread of the web process."""

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import Enum
from functools import partial

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, connections

from billing.credits.admission import account_policy
from imaging import metrics
from imaging.batches import ends, files, leases
from imaging.core.codecs.headers import read_header
from imaging.core.options import UnknownOption
from imaging.core.pipeline import BackgroundImage, Cutout
from imaging.core.problems import CallerGone, ImageRefused, Problem, too_slow
from imaging.executor import models
from imaging.executor.fair_queue import Rank, Requester
from imaging.executor.gate import Busy
from imaging.models import BatchItem
from imaging.removal import cutouts, image_url
from imaging.removal.forms import ImageFile
from imaging.removal.refusals import FetchFailed
from lib.ops.database import give_back

logger = logging.getLogger(__name__)

# Limit for crashes on our side. A fault of the image itself is reported at once.
ATTEMPTS = 3
RETRY_SECONDS = 5.0


class Verdict(Enum):
    """The outcome of working on an image."""

    ENDED = "ended"
    # It waits for RETRY_SECONDS. Threads of the web process find it again; with a broker, the caller sends it again.
    AGAIN = "again"


def work_on(pk: int) -> Verdict:
    """Work on an image, unless it has ended or another worker has it. Repeated or concurrent calls process it once."""
    item = leases.take(pk)
    return Verdict.ENDED if item is None else work(item)


def work(item: BatchItem) -> Verdict:
    """Work on an image whose lease we hold, until it ends or is put back for a retry."""
    if item.attempts > ATTEMPTS:
        # Every earlier attempt crashed its process, or the process was killed.
        _give_up(item)
        return Verdict.ENDED
    with leases.kept(item):
        try:
            cutout = _cut_out(item)
            _deliver(item, cutout)
        except CallerGone:
            # It was cancelled, or another worker has taken it: there is nothing to end here.
            logger.info("the work on an image of a batch was stopped", extra=_facts(item))
        except (Busy, UnknownOption):
            # This is no one's fault, and not counted as an attempt. A worker of a newer release knows the option.
            ends.put_back(item, RETRY_SECONDS, counted=False)
            return Verdict.AGAIN
        except ImageRefused as refused:
            _refuse(item, refused.problems)
        except SoftTimeLimitExceeded:
            _fail_slow(item)
        except Exception as error:
            return _try_again(item, error)
    return Verdict.ENDED


def give_up_slow(pk: int) -> None:
    """Fail an image that took so long that its worker process was killed. Called in the worker's main process."""
    try:
        item = BatchItem.objects.select_related("batch", "hold").filter(pk=pk).first()
        if item is not None:
            _fail_slow(item)
    finally:
        # The pool's processes are forked from this one.
        connections.close_all()


def _fail_slow(item: BatchItem) -> None:
    problem: Problem = too_slow(settings.IMAGING_SECONDS)
    if ends.fail(item, problem.code, problem.message):
        _erase_results(item, range(1, item.attempts + 1))
        _erase_input(item)


def _cut_out(item: BatchItem) -> Cutout:
    policy = account_policy(item.batch.account)
    options, *more = (output.options for output in item.batch.outputs)
    # The version that it is pinned to may have gone since; what this worker lacks, another one has.
    problems = models.find_problems(options.model, settings.IMAGING_MODELS)
    with _image(item, policy.subject) as image, ExitStack() as files_open:
        requester = Requester(policy.subject, Rank.BATCH)
        job = cutouts.check(image, options, requester, problems, more)
        if any(output.background_image for output in (options, *more)):
            job = dataclasses.replace(job, background=files_open.enter_context(_background(item, requester)))
        return cutouts.remove_background(job, policy, still_wanted=partial(_is_wanted, item))


def _is_wanted(item: BatchItem) -> bool:
    try:
        return leases.is_held(item)
    except DatabaseError:
        return True


@contextmanager
def _image(item: BatchItem, subject: str) -> Iterator[ImageFile]:
    """The image as it was sent, or fetched from its URL."""
    if not item.source_url:
        give_back()
        image = ImageFile(item.name, files.open_input(item), item.size)
    elif problems := image_url.find_problems(item.source_url):
        raise FetchFailed(*problems)
    else:
        image = image_url.fetch(item.source_url, subject, of_batch=True)
    with closing(image.file):
        yield image


@contextmanager
def _background(item: BatchItem, requester: Requester) -> Iterator[BackgroundImage]:
    """The image that goes behind the subject: stored with the batch, or fetched."""
    if url := item.batch.options.get(cutouts.BACKGROUND_URL_FIELD):
        image, background = cutouts.fetch_background(url, requester)
    else:
        file = files.open_background(item.batch_id)
        image, background = ImageFile("", file), BackgroundImage(file, read_header(file))
    with closing(image.file):
        yield background


def _deliver(item: BatchItem, cutout: Cutout) -> None:
    give_back()
    for number, result in enumerate((cutout, *cutout.more)):
        files.store_result(item, result.content, number)
    if ends.deliver(item, cutout, item.batch.outputs if item.batch.has_outputs else []):
        metrics.note_delivery(cutout.timings)
        # A worker that was killed may have left some.
        _erase_results(item, range(1, item.attempts))
    else:
        _erase_results(item, [item.attempts])
    _erase_input(item)


def _refuse(item: BatchItem, problems: Sequence[Problem]) -> None:
    code = problems[0].code if len(problems) == 1 else "validation_error"
    if ends.fail(item, code, " ".join(problem.message for problem in problems)):
        _erase_results(item, range(1, item.attempts))
    _erase_input(item)


def _try_again(item: BatchItem, error: Exception) -> Verdict:
    """Retry after a crash on our side, or give up after ATTEMPTS. Does nothing if the image was cancelled meanwhile."""
    if item.attempts >= ATTEMPTS:
        logger.error("an image of a batch failed for good", exc_info=error, extra=_facts(item))
        _give_up(item)
    elif ends.put_back(item, RETRY_SECONDS, counted=True):
        logger.error("an image of a batch failed, and will be tried again", exc_info=error, extra=_facts(item))
        return Verdict.AGAIN
    return Verdict.ENDED


def _give_up(item: BatchItem) -> None:
    if ends.fail(item, "internal_error", INTERNAL_ERROR):
        _erase_results(item, range(1, item.attempts + 1))
        _erase_input(item)


INTERNAL_ERROR = "Something went wrong on our side. You were not charged for this image."


def _erase_input(item: BatchItem) -> None:
    """Erase the input. If this fails, expiry erases it later."""
    try:
        files.erase_input(item)
    except Exception:
        logger.exception("an image of a batch could not be erased", extra=_facts(item))


def _erase_results(item: BatchItem, attempts: Iterable[int]) -> None:
    """Erase what these attempts stored, complete or not. If this fails, expiry erases it later."""
    try:
        files.erase_results(item, attempts, len(item.batch.outputs))
    except Exception:
        logger.exception("results of an image of a batch could not be erased", extra=_facts(item))


def _facts(item: BatchItem) -> dict[str, object]:
    return {"batch": str(item.batch_id), "position": item.position, "attempts": item.attempts}
