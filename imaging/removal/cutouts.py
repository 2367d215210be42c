"""Takes one image from upload to cutout: check everything, wait for a place, work."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from django.conf import settings

from imaging.core.codecs.checks import check_image
from imaging.core.codecs.headers import ImageHeader
from imaging.core.geometry import check_delivered_size
from imaging.core.options import CutoutOptions, parse_options
from imaging.core.problems import ImageRefused, Problem
from imaging.executor import local, remote, runtime
from imaging.executor.fair_queue import Requester
from imaging.executor.orders import Delivery, Order
from imaging.problems import make_problem
from imaging.removal.upload import CHUNK_BYTES, FIELD, Form, Picture
from lib.ops.database import give_back

NO_PICTURE = make_problem(FIELD, "missing_image")
NO_FILE_CHOSEN = make_problem(FIELD, "no_file_selected")


@dataclass(frozen=True, slots=True)
class Job:
    """An image and its options, validated as far as possible without decoding."""

    file: BinaryIO
    name: str
    header: ImageHeader
    options: CutoutOptions


def check_form(form: Form) -> Job:
    """Find all problems of a form in one pass. Raises ImageRefused."""
    header, problems = _check_picture(form.picture)
    options, option_problems = parse_options(form)
    problems += option_problems
    if header and not problems:
        problems += check_delivered_size(header.upright_size, options)
    if problems or header is None or form.picture is None:
        raise ImageRefused(*problems)
    return Job(form.picture.file, form.picture.name, header, options)


def fingerprint(job: Job) -> str:
    """SHA-256, in hexadecimal, of the image and its options: the same for a retry, however its form is encoded."""
    job.file.seek(0)
    digest = hashlib.sha256()
    while chunk := job.file.read(CHUNK_BYTES):
        digest.update(chunk)
    digest.update(repr(job.options).encode())
    return digest.hexdigest()


def run(job: Job, requester: Requester, *, still_wanted: Callable[[], bool] | None = None) -> Delivery:
    """Wait for the requester's turn and cut out, here or on a worker: see IMAGING_EXECUTOR.

    `still_wanted`: whether the caller still waits for the answer; called about once a second, and between the steps. Raises
    Busy without a place or an answer in time; ImageRefused for an image that does not decode, or takes longer than
    IMAGING_SECONDS; for a caller who has gone, LeftQueue before the work began, or CallerGone later.
    """
    # An image waits and is processed for seconds without the database: return its connection.
    give_back()
    order = Order(job.header, job.options, settings.IMAGING_REFINE, requester)
    execute = remote.execute if runtime.is_remote() else local.execute
    return execute(job.file, order, still_wanted=still_wanted)


def _check_picture(picture: Picture | None) -> tuple[ImageHeader | None, list[Problem]]:
    if picture is None:
        return None, [NO_PICTURE]
    if not picture.name:
        return None, [NO_FILE_CHOSEN]
    # For a fetched image, a name such as `photo.php` means nothing.
    name = "" if picture.fetched else picture.name
    return check_image(picture.file, name=name, size=picture.size)
