"""Takes one image from upload to cutout: check everything, wait for a place, work."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence

from django.conf import settings

from imaging.core.codecs.checks import check_image
from imaging.core.codecs.headers import ImageHeader
from imaging.core.geometry import check_sizes
from imaging.core.options import CutoutOptions, parse_options
from imaging.core.outputs import of_output
from imaging.core.pipeline import BackgroundImage, Cutout
from imaging.core.problems import CallerGone, ImageRefused, Problem
from imaging.executor import remote, runtime
from imaging.executor.fair_queue import Rank, Requester
from imaging.executor.gate import LeftQueue
from imaging.executor.jobs import Job
from imaging.problems import make_problem
from imaging.removal import image_url
from imaging.removal.forms import Form, ImageFile
from imaging.removal.refusals import FetchFailed
from imaging.removal.upload import BACKGROUND_FIELD, CHUNK_BYTES, FIELD
from lib.ops.database import give_back
from lib.web import rate_limits
from lib.web.rate_limits import Policy

BACKGROUND_URL_FIELD = "bg_image_url"
NO_IMAGE = make_problem(FIELD, "missing_image")
NO_FILE_CHOSEN = make_problem(FIELD, "no_file_selected")


def check_form(form: Form, requester: Requester) -> Job:
    """Find all problems of a form in one pass. Its images are fetched first, if it names URLs and has no other problem.

    Raises ImageRefused; what `image_url.fetch` raises.
    """
    sent = form.background
    # Browsers' forms send an empty, nameless part where no file was chosen.
    is_sent = sent is not None and bool(sent.name or sent.size)
    options, problems = parse_options(form, (BACKGROUND_FIELD,) if is_sent else ())
    problems += runtime.find_model_problems(options)
    background, found = check_background(sent) if sent and is_sent else (None, [])
    problems += found
    url, background_url = (form.get(field, "").strip() for field in (image_url.FIELD, BACKGROUND_URL_FIELD))
    found = image_url.find_problems(url, form.image) if url else []
    problems += find_background_url_problems(form)
    if found or ((url or background_url) and problems):
        # Nothing is fetched for a form that is refused anyway.
        raise FetchFailed(*found, *([] if url else check_upload(form.image)[1]), *problems)
    if url:
        form.close_image()
        form.image = image_url.fetch(url, requester.name)
    if background_url:
        form.background, background = fetch_background(background_url, requester)
    return dataclasses.replace(check(form.image, options, requester, problems), background=background)


def check(
    image: ImageFile | None,
    options: CutoutOptions,
    requester: Requester,
    problems: Sequence[Problem] = (),
    more: Sequence[CutoutOptions] = (),
) -> Job:
    """Find all problems of an image in one pass. `problems` are those of its options, `more` further outputs' options.

    Raises ImageRefused.
    """
    header, found = check_upload(image)
    found += problems
    if header and not found:
        found += _size_problems(header, (options, *more))
    if found or header is None or image is None:
        raise ImageRefused(*found)
    return Job(image.file, header, options, settings.IMAGING_REFINE, requester, image.name, more=tuple(more))


def _size_problems(header: ImageHeader, outputs: Sequence[CutoutOptions]) -> list[Problem]:
    found = [check_sizes(header.upright_size, options) for options in outputs]
    if len(outputs) == 1:
        return found[0]
    named = [
        # One region is for all of them.
        problem if problem.field == "roi" else of_output(index, problem)
        for index, problems in enumerate(found)
        for problem in problems
    ]
    return list(dict.fromkeys(named))


def fetch_background(url: str, requester: Requester) -> tuple[ImageFile, BackgroundImage]:
    """The image of `bg_image_url`, whose file the caller closes, and as the job needs it.

    Raises what `image_url.fetch` raises.
    """
    try:
        image = image_url.fetch(url, requester.name, of_batch=requester.rank is Rank.BATCH)
    except FetchFailed as failed:
        raise FetchFailed(*_of_background(failed.problems)) from failed
    background, problems = check_background(image, BACKGROUND_URL_FIELD)
    if background is None:
        image.file.close()
        raise FetchFailed(*problems)
    return image, background


def check_background(image: ImageFile, field: str = BACKGROUND_FIELD) -> tuple[BackgroundImage | None, list[Problem]]:
    """The background image, checked as the image itself is, and what is wrong with it."""
    header, problems = check_upload(image)
    found = [dataclasses.replace(problem, field=field) for problem in problems]
    return (None if header is None else BackgroundImage(image.file, header)), found


def find_background_url_problems(form: Mapping[str, str]) -> list[Problem]:
    """The problem with fetching from `bg_image_url`, before connecting."""
    url = form.get(BACKGROUND_URL_FIELD, "").strip()
    return _of_background(image_url.find_problems(url)) if url else []


def _of_background(problems: Sequence[Problem]) -> list[Problem]:
    """Problems of `image_url` as those of `bg_image_url`."""
    names = f"'{image_url.FIELD}'", f"'{BACKGROUND_URL_FIELD}'"
    return [
        dataclasses.replace(problem, field=BACKGROUND_URL_FIELD, message=problem.message.replace(*names))
        for problem in problems
    ]


def fingerprint(job: Job) -> str:
    """SHA-256, in hexadecimal, of the images and their options: the same for a retry, however its form is encoded."""
    digest = hashlib.sha256()
    for file in (job.file, *([job.background.file] if job.background else ())):
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    digest.update(repr(job.options).encode())
    return digest.hexdigest()


def remove_background(job: Job, policy: Policy, *, still_wanted: Callable[[], bool] | None = None) -> Cutout:
    """Wait for the requester's turn and cut out, here or on a worker: see IMAGING_EXECUTOR. For requests and batches alike.

    An image that fails counts against `policy`, the requester's limits. `still_wanted`: whether the caller still waits for
    the answer; called about once a second, and between the steps. Raises Busy without a place or an answer in time;
    ImageRefused for an image that does not decode, or takes longer than IMAGING_SECONDS; for a caller who has gone,
    LeftQueue before the work began, or CallerGone later.
    """
    # An image waits and is processed for seconds without the database: return its connection.
    give_back()
    execute = remote.execute if runtime.is_remote() else runtime.execute
    of_batch = job.requester.rank is Rank.BATCH
    try:
        return execute(job, still_wanted=still_wanted)
    except ImageRefused:
        rate_limits.count_failure(policy, of_batch=of_batch)
        raise
    except CallerGone as gone:
        if not of_batch and not isinstance(gone, LeftQueue):
            # Otherwise a caller could send images and leave, and cause unlimited wasted work.
            rate_limits.count_failure(policy)
        raise


def check_upload(image: ImageFile | None) -> tuple[ImageHeader | None, list[Problem]]:
    """The header of an uploaded or fetched image, None with problems, and its problems; nothing is decoded."""
    if image is None:
        return None, [NO_IMAGE]
    if not image.name:
        return None, [NO_FILE_CHOSEN]
    # For a fetched image, a name such as `photo.php` means nothing.
    name = "" if image.fetched else image.name
    return check_image(image.file, name=name, size=image.size)
