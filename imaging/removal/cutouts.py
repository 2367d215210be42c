"""Takes one image from upload to cutout: check everything, wait for a place, work."""

import hashlib
from collections.abc import Callable, Sequence

from django.conf import settings

from imaging.core.codecs.checks import check_image
from imaging.core.codecs.headers import ImageHeader
from imaging.core.geometry import check_sizes
from imaging.core.options import CutoutOptions, parse_options
from imaging.core.pipeline import Cutout
from imaging.core.problems import CallerGone, ImageRefused, Problem
from imaging.executor import remote, runtime
from imaging.executor.fair_queue import Rank, Requester
from imaging.executor.gate import LeftQueue
from imaging.executor.jobs import Job
from imaging.problems import make_problem
from imaging.removal import image_url
from imaging.removal.refusals import FetchFailed
from imaging.removal.upload import CHUNK_BYTES, FIELD, Form, ImageFile
from lib.ops.database import give_back
from lib.web import rate_limits
from lib.web.rate_limits import Policy

NO_IMAGE = make_problem(FIELD, "missing_image")
NO_FILE_CHOSEN = make_problem(FIELD, "no_file_selected")


def check_form(form: Form, requester: Requester) -> Job:
    """Find all problems of a form in one pass. Its image is fetched first, if it names a URL and has no other problem.

    Raises ImageRefused; what `image_url.fetch` raises.
    """
    options, problems = parse_options(form)
    if url := form.get(image_url.FIELD, "").strip():
        if found := [*image_url.find_problems(url, form.image), *problems]:
            raise FetchFailed(*found)
        form.close()
        form.image = image_url.fetch(url, requester.name)
    return check(form.image, options, requester, problems)


def check(image: ImageFile | None, options: CutoutOptions, requester: Requester, problems: Sequence[Problem] = ()) -> Job:
    """Find all problems of an image in one pass. `problems` are those of its options. Raises ImageRefused."""
    header, found = _check_image(image)
    found += problems
    if header and not found:
        found += check_sizes(header.upright_size, options)
    if found or header is None or image is None:
        raise ImageRefused(*found)
    return Job(image.file, header, options, settings.IMAGING_REFINE, requester, image.name)


def fingerprint(job: Job) -> str:
    """SHA-256, in hexadecimal, of the image and its options: the same for a retry, however its form is encoded."""
    job.file.seek(0)
    digest = hashlib.sha256()
    while chunk := job.file.read(CHUNK_BYTES):
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


def _check_image(image: ImageFile | None) -> tuple[ImageHeader | None, list[Problem]]:
    if image is None:
        return None, [NO_IMAGE]
    if not image.name:
        return None, [NO_FILE_CHOSEN]
    # For a fetched image, a name such as `photo.php` means nothing.
    name = "" if image.fetched else image.name
    return check_image(image.file, name=name, size=image.size)
