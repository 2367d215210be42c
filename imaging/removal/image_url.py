"""`image_url`: fetches the image from the caller's URL, as if it had been uploaded."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import unquote, urlsplit

from django.conf import settings

from imaging.core.codecs.checks import MAX_BYTES, MEBIBYTE
from imaging.core.problems import Problem
from imaging.core.values import shortened
from imaging.executor.gate import Busy
from imaging.problems import make_problem
from imaging.removal.forms import ImageFile, new_file
from imaging.removal.refusals import FetchFailed
from lib.outbound import client as outbound
from lib.outbound.fair_places import FairPlaces
from lib.outbound.lookups import IMAGES, Asker

logger = logging.getLogger(__name__)

FIELD = "image_url"
MAX_REDIRECTS = 3
# How long a request waits for one of the process's download slots before it gets a 503.
PLACE_SECONDS = 5
# The same for a name look-up; a batch item is put back sooner, so that others can use its worker.
LOOKUP_SECONDS, PATIENT_LOOKUP_SECONDS = 5.0, 0.5
# The formats we read come first; some servers would send AVIF otherwise. No compression: a few bytes could become gigabytes.
HEADERS = {"Accept": "image/webp,image/png,image/jpeg,image/bmp,*/*;q=0.1", "Accept-Encoding": "identity"}

TWO_IMAGES = make_problem(FIELD, "two_pictures")
SWITCHED_OFF = make_problem(FIELD, "image_url_disabled")


def find_problem(url: str) -> Problem | None:
    """Find the problem with a URL that needs no connection to detect."""
    try:
        outbound.parse(url, settings.IMAGE_URL_PORTS)
    except outbound.OutboundError as error:
        return _problem(error)
    return None


def find_problems(url: str, image: ImageFile | None = None) -> list[Problem]:
    """Find the problem with fetching from a URL, for a form with this upload, before connecting."""
    if not settings.IMAGE_URL_ENABLED:
        return [SWITCHED_OFF]
    # A browser's form has a nameless, empty part if no file was chosen.
    if image and (image.name or image.size):
        return [TWO_IMAGES]
    problem = find_problem(url)
    return [problem] if problem else []


def fetch(url: str, owner: str, *, of_batch: bool = False) -> ImageFile:
    """Fetch the image at `url`, for a caller without other problems, who closes its file.

    `owner` is the subject of the caller's limits: owners share downloads and name look-ups fairly. `of_batch` is for images
    that no one waits for.

    Raises FetchFailed for an image that cannot be fetched; Busy when too many are being fetched, or, if `of_batch`, when the
    owner's own names are slow to resolve.
    """
    image = ImageFile(file_name(url), new_file(), fetched=True)
    asker = Asker(IMAGES, owner, PATIENT_LOOKUP_SECONDS if of_batch else LOOKUP_SECONDS)
    try:
        with _place(owner), _explained(url, of_batch):
            _download(url, image, asker)
    except BaseException:
        image.file.close()
        raise
    return image


def invalid(reason: str) -> Problem:
    """The URL cannot be fetched."""
    return make_problem(FIELD, "image_url_invalid", reason=reason)


def forbidden(reason: str) -> Problem:
    """The URL leads to a host that customers' requests must not reach."""
    return make_problem(FIELD, "image_url_forbidden", reason=reason)


def too_many_redirects() -> Problem:
    """More redirects than we follow."""
    return make_problem(FIELD, "image_url_redirects", redirects=MAX_REDIRECTS)


def unreachable() -> Problem:
    """No connection, or a broken one. Which, and why, is not reported: that would let callers map a network."""
    return make_problem(FIELD, "image_url_unreachable")


def timed_out() -> Problem:
    """The whole download took longer than IMAGE_URL_SECONDS."""
    return make_problem(FIELD, "image_url_timeout", seconds=settings.IMAGE_URL_SECONDS)


def no_image(status: int) -> Problem:
    """The server answered with a status other than 200."""
    return make_problem(FIELD, "image_url_failed", status=status)


def compressed(encoding: str) -> Problem:
    """The server compressed the response although asked not to."""
    return make_problem(FIELD, "image_url_encoding", encoding=shortened(encoding))


def too_large() -> Problem:
    """More bytes than an upload may have; the download stopped there, so the size is unknown."""
    return make_problem(FIELD, "image_url_too_large", megabytes=MAX_BYTES // MEBIBYTE)


def _problem(error: outbound.OutboundError) -> Problem:
    match error:
        case outbound.InvalidUrl():
            return invalid(error.reason)
        case outbound.ForbiddenTarget():
            return forbidden(error.reason)
        case outbound.TooManyRedirects():
            return too_many_redirects()
        case outbound.TooSlow():
            return timed_out()
        case _:
            return unreachable()


def file_name(url: str) -> str:
    """The last part of the URL's path, for the result's file name."""
    return unquote(urlsplit(url).path, errors="replace").rpartition("/")[2] or "image"


@cache
def _places() -> FairPlaces:
    return FairPlaces(settings.IMAGE_URL_DOWNLOADS, max(1, settings.IMAGE_URL_DOWNLOADS // 2))


@contextmanager
def _place(owner: str = "") -> Iterator[None]:
    """Hold one of the process's download slots. Raises Busy when none becomes free in time."""
    if not _places().take(owner, PLACE_SECONDS):
        raise Busy
    try:
        yield
    finally:
        _places().leave(owner)


@contextmanager
def _explained(url: str, of_batch: bool) -> Iterator[None]:
    """Turn a request's failure into FetchFailed or Busy; operators find the cause in the log."""
    try:
        yield
    except outbound.Crowded as error:
        if of_batch or not error.own_fault:
            raise Busy from error
        raise _logged(url, timed_out(), error) from error
    except outbound.OutboundError as error:
        raise _logged(url, _problem(error), error.__cause__ or error) from error
    except FetchFailed as error:
        _log(url, error.problems[0], error)
        raise


def _logged(url: str, problem: Problem, cause: BaseException) -> FetchFailed:
    _log(url, problem, cause)
    return FetchFailed(problem)


def _log(url: str, problem: Problem, cause: BaseException) -> None:
    # Only the host: the rest of a URL may hold a secret.
    facts = {"host": urlsplit(url).hostname, "error_code": problem.code, "cause": repr(cause)}
    logger.info("image not fetched", extra=facts)


def _download(url: str, image: ImageFile, asker: Asker) -> None:
    def write(data: bytes) -> None:
        image.write(data)
        if image.size > MAX_BYTES:
            raise FetchFailed(too_large())

    def receive(answer: outbound.Answer) -> Callable[[bytes], None]:
        _check_head(answer)
        return write

    limits = {"ports": settings.IMAGE_URL_PORTS, "seconds": settings.IMAGE_URL_SECONDS, "redirects": MAX_REDIRECTS}
    outbound.send("GET", url, headers=HEADERS, asker=asker, receive=receive, **limits)


def _check_head(answer: outbound.Answer) -> None:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if answer.status != 200:
        raise FetchFailed(no_image(answer.status))
    if encoding not in ("", "identity"):
        raise FetchFailed(compressed(encoding))
    if answer.length is not None and answer.length > MAX_BYTES:
        raise FetchFailed(too_large())
