"""A checked request of `/v1.0/removebg`: its image, what is wanted of it, and the job at any size class."""

import dataclasses
from dataclasses import dataclass
from typing import BinaryIO

from django.conf import settings

from billing.credits.prices import IMAGE, PREVIEW
from imaging.compat import sizes
from imaging.compat.fields import Wanted, parse_fields
from imaging.compat.forms import BACKGROUND, BACKGROUND_URL, FILE, SOURCES, URL, CompatForm, find_damage
from imaging.core.codecs.headers import START_BYTES, ImageHeader, find_format
from imaging.core.geometry import Size, check_sizes
from imaging.core.pipeline import BackgroundImage
from imaging.core.problems import ImageRefused, Problem
from imaging.executor.fair_queue import Requester
from imaging.executor.jobs import Job
from imaging.problems import FormRefused, make_problem
from imaging.removal import cutouts, image_url
from imaging.removal.forms import ImageFile

NO_SOURCE, SEVERAL_SOURCES = make_problem(FILE, "missing_source"), make_problem(FILE, "multiple_sources")


@dataclass(frozen=True, slots=True)
class Order:
    """An image with its checked header, what is wanted of it, and who asks. `background` goes behind the subject."""

    image: ImageFile
    header: ImageHeader
    wanted: Wanted
    requester: Requester
    background: BackgroundImage | None

    @property
    def upright_size(self) -> Size:
        """The image's size in pixels."""
        return self.header.upright_size

    @property
    def operation(self) -> str:
        """What it costs: see `billing.credits.prices`."""
        return PREVIEW if sizes.is_preview(self.wanted.size_class, self.upright_size) else IMAGE

    def job(self, size_class: str = "") -> Job:
        """The job at a size class, by default the one that was asked for."""
        options = self.wanted.at(self.upright_size, size_class or self.wanted.size_class)
        background = self.background if options.background_image else None
        return Job(self.image.file, self.header, options, settings.IMAGING_REFINE, self.requester, background=background)

    def largest_size(self) -> Size:
        """The largest size in which the whole image could be had."""
        return sizes.largest_size(self.upright_size, is_png=self.wanted.is_png)


def check_form(form: CompatForm, requester: Requester) -> Order:
    """Find all problems of a form in one pass. Its images are fetched first, if it names addresses and has no other problem.

    Raises FormRefused, FetchFailed or ImageRefused; what `image_url.fetch` raises.
    """
    wanted, problems = parse_fields(form, [BACKGROUND] if BACKGROUND in form.images else [])
    problems = [*find_source_problems(form), *problems]
    background_problems = cutouts.find_background_url_problems(form)
    upload = next((form.images[name] for name in SOURCES if name in form.images), None)
    header, found = check_image(upload) if upload else (None, [])
    background, wrong = _check_background(form)
    problems += [*found, *background_problems, *wrong]
    if header is not None and not problems:
        problems += check_sizes(header.upright_size, wanted.options)
    if problems:
        raise FormRefused(*problems)
    if upload is None:
        form.images[URL] = upload = fetch_image(form, requester)
        header, found = check_image(upload)
        found = [dataclasses.replace(problem, field=URL) for problem in found]
        found += check_sizes(header.upright_size, wanted.options) if header else []
        if found:
            raise ImageRefused(*found)
    if form.text(BACKGROUND_URL) and wanted.options.background_image:
        form.images[BACKGROUND_URL], background = cutouts.fetch_background(form.text(BACKGROUND_URL), requester)
    assert header is not None  # noqa: S101 - for the type checker: there was no problem
    return Order(upload, header, wanted, requester, background)


def fetch_image(form: CompatForm, requester: Requester) -> ImageFile:
    """The image of `image_url`, whose file the form closes. Raises what `image_url.fetch` raises."""
    return image_url.fetch(form.text(URL), requester.name)


def find_source_problems(form: CompatForm) -> list[Problem]:
    """What is wrong with the fields of the image, of which exactly one may be given."""
    sources = form.sources(SOURCES)
    if len(sources) > 1:
        return [SEVERAL_SOURCES]
    if not sources:
        return [NO_SOURCE]
    return find_damage(form) or (image_url.find_problems(form.text(URL)) if sources == [URL] else [])


def check_image(image: ImageFile) -> tuple[ImageHeader | None, list[Problem]]:
    """The header of an image, None with problems. Only its bytes count."""
    header, problems = cutouts.check_upload(image)
    return header, [_as_own(problem, image.file) for problem in problems]


def _check_background(form: CompatForm) -> tuple[BackgroundImage | None, list[Problem]]:
    image = form.images.get(BACKGROUND)
    if image is None:
        return None, []
    header, problems = check_image(image)
    found = [dataclasses.replace(problem, field=BACKGROUND) for problem in problems]
    return (BackgroundImage(image.file, header) if header else None), found


def _as_own(problem: Problem, file: BinaryIO) -> Problem:
    """Whether a file that has no readable header is no image, or a damaged one."""
    if problem.code != "invalid_image":
        return problem
    file.seek(0)
    code = "invalid_dimensions" if find_format(file.read(START_BYTES)) else "invalid_file_type"
    own = make_problem(FILE, code)
    message = f"{own.message} {problem.advice}".strip()
    return dataclasses.replace(own, message=message)
