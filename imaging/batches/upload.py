"""Reads a batch's form while it arrives: images, zips of images, image URLs, and the options for all of them."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.http import HttpRequest
from rest_framework.parsers import BaseParser

from imaging.batches import names, zips
from imaging.batches.refusals import BatchTooLarge
from imaging.batches.spool import Segment, Spool
from imaging.callbacks import addresses
from imaging.core import outputs
from imaging.core.codecs.checks import MAX_BYTES, MEBIBYTE, find_size_problem
from imaging.core.options import OPTION_FIELDS, CutoutOptions, parse_options
from imaging.core.outputs import Output
from imaging.core.problems import Problem
from imaging.executor import runtime
from imaging.problems import FormRefused, make_problem
from imaging.removal import doorkeeper, image_url
from imaging.removal.cutouts import NO_FILE_CHOSEN, check_background, find_background_url_problems
from imaging.removal.forms import ImageFile, UploadForm
from imaging.removal.upload import BACKGROUND_FIELD, FIELD, PartReader, read_body
from lib.web.server import uploads

ZIP_FIELD = "zip"
MAX_IMAGES = 500
MAX_TOTAL = 2 * 1024**3
# Files, URLs, options, and some unknown parts.
MAX_PARTS = 2 * MAX_IMAGES
# What a form of that many parts contains besides its files.
FRAMING_BYTES = 8 * MEBIBYTE

NO_IMAGES = Problem(
    FIELD, "missing_image", "No images provided. Include at least one 'image' or 'zip' file, or an 'image_url'."
)
TOO_MANY = make_problem(FIELD, "too_many_images", images=MAX_IMAGES)


@dataclass(slots=True)
class Entry:
    """One image of the batch: bytes in the spool, or a URL.

    `size` is what was sent, in bytes; past MAX_BYTES none of it is kept. `digest` is the SHA-256 of its content. `problem`
    is what is known to be wrong with it before processing.
    """

    name: str
    url: str = ""
    start: int = 0
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    problem: Problem | None = None


class BatchForm(UploadForm):
    """The form of a batch: its images; their options; and `problems`, what is wrong with it as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.spool = Spool()
        self.entries: list[Entry] = []
        self.background: Entry | None = None
        self.problems: list[Problem] = []
        self.cutout_options = CutoutOptions()
        # Empty unless they were sent; each has all of its options.
        self.outputs: list[Output] = []

    def close(self) -> None:
        self.spool.close()

    @property
    def options(self) -> dict[str, str]:
        """The options that were sent, as strings."""
        found = {name: self.get(name, "").strip() for name in (*OPTION_FIELDS, outputs.FIELD)}
        return {name: value for name, value in found.items() if value}

    @property
    def callback_url(self) -> str:
        """The URL to call when the batch has ended; empty for none."""
        return self.get(addresses.FIELD, "").strip()

    def content(self, entry: Entry) -> Segment:
        """An image's bytes as a file."""
        return Segment(self.spool, entry.start, entry.size)

    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of the images, their names and the options: the same for a retry."""
        digest = hashlib.sha256(repr((self.outputs or self.cutout_options, self.callback_url)).encode())
        for entry in (*self.entries, *([self.background] if self.background else ())):
            digest.update(repr((entry.name, entry.url, entry.size, entry.digest.hexdigest())).encode())
        return digest.hexdigest()


class BatchParser(BaseParser):
    """Parses the form of a batch, of any content type that forms have, and unpacks its zips."""

    media_type = "*/*"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> BatchForm:
        """Read the request's body.

        All problems of the form are reported at once. A problem with a single image is noted on its entry.
        Raises FormRefused, BatchTooLarge for more than MAX_TOTAL bytes, and what `read_body` raises.
        """
        request = (parser_context or {})["request"]
        if not _may_fit(request):
            raise BatchTooLarge
        form = BatchForm()
        try:
            _read(request, form)
        except BaseException:
            form.close()
            raise
        return form


def _read(request: HttpRequest, form: BatchForm) -> None:
    reader, most = _BatchReader(form), MAX_TOTAL + FRAMING_BYTES
    if not read_body(request, reader, max_parts=MAX_PARTS, max_bytes=most, max_unpacked=most):
        raise BatchTooLarge
    reader.finish()
    if problems := _find_problems(form):
        raise FormRefused(*problems)


def not_a_zip(name: str) -> Problem:
    """The problem of a file in the field `zip` that cannot be opened."""
    return make_problem(ZIP_FIELD, "invalid_zip", name=names.label(name)[-100:])


def _may_fit(request: HttpRequest) -> bool:
    """Whether the body is small enough to be worth reading."""
    return int(request.META.get("CONTENT_LENGTH") or 0) <= MAX_TOTAL + FRAMING_BYTES


def _find_problems(form: BatchForm) -> list[Problem]:
    problems = list(dict.fromkeys(form.problems))
    if not form.entries and not problems:
        problems.append(NO_IMAGES)
    if not settings.IMAGE_URL_ENABLED and any(entry.url for entry in form.entries):
        problems.append(image_url.SWITCHED_OFF)
    problems += [*_read_options(form), *runtime.find_model_problems(form.cutout_options)]
    problems += find_background_url_problems(form)
    if (behind := form.background) is not None:
        file = cast(BinaryIO, form.content(behind))
        problems += check_background(ImageFile(behind.name, file, behind.size))[1]
    if form.callback_url and (problem := addresses.find_problem(form.callback_url)):
        problems.append(problem)
    return problems


def _read_options(form: BatchForm) -> list[Problem]:
    """Parse the options, and the outputs where they were sent. What is wrong with them."""
    sent = (BACKGROUND_FIELD,) if form.background else ()
    form.cutout_options, problems = parse_options(form, sent)
    if form.get(outputs.FIELD, "").strip():
        form.outputs, problems = outputs.parse_outputs(form, sent)
    return problems


class _BatchReader(PartReader):
    """Puts files into the spool and records them in the order in which they arrive."""

    def __init__(self, form: BatchForm) -> None:
        super().__init__()
        self.form = form
        self.sent: list[Entry] = []
        self.zips: set[int] = set()
        self.total = 0
        self.allowance = zips.Allowance()
        self.current: Entry | None = None

    def begin_file(self, filename: str) -> None:
        self.current = None
        is_background = self.name == BACKGROUND_FIELD and self.form.background is None
        if is_background or (self.name in (FIELD, ZIP_FIELD) and self._has_room(self.sent)):
            self.current = Entry(filename, start=self.form.spool.end)

    def take_bytes(self, data: bytes) -> None:
        if self.current is not None:
            self._count(len(data))
            limit = MAX_TOTAL if self.name == ZIP_FIELD else MAX_BYTES
            _add(self.form.spool, self.current, data, limit)

    def end_file(self) -> None:
        entry, is_zip = self.current, self.name == ZIP_FIELD
        if entry is None:
            return
        if self.name == BACKGROUND_FIELD:
            # A browser sends an empty part without a name if no file was chosen.
            self.form.background = entry if entry.name or entry.size else None
        elif not entry.name and not entry.size:
            # A browser sends an empty part without a name if no file was chosen.
            self.form.problems += [] if is_zip else [NO_FILE_CHOSEN]
        else:
            if is_zip:
                self.zips.add(len(self.sent))
            self.sent.append(entry)

    def take_text(self, name: str, text: str) -> None:
        url = text.strip()
        if name != image_url.FIELD:
            self.form[name] = text
        elif url and self._has_room(self.sent):
            self.sent.append(Entry(image_url.file_name(url), url))

    def finish(self) -> None:
        """All parts have arrived: replace each zip with its content."""
        if self.sent and NO_FILE_CHOSEN in self.form.problems:
            self.form.problems.remove(NO_FILE_CHOSEN)
        for at, entry in enumerate(self.sent):
            if at in self.zips:
                self._unpack(entry)
            elif self._has_room(self.form.entries):
                self.form.entries.append(entry)
        for entry in self.form.entries:
            _judge(entry)

    def _count(self, size: int) -> None:
        self.total += size
        if self.total > MAX_TOTAL:
            raise BatchTooLarge

    def _has_room(self, entries: list[Entry]) -> bool:
        """Whether one more entry fits. If there are too many, the rest of the body is read but not kept."""
        if len(entries) < MAX_IMAGES and TOO_MANY not in self.form.problems:
            return True
        self.form.problems.append(TOO_MANY)
        return False

    def _unpack(self, archive: Entry) -> None:
        # The zip's own bytes are not images.
        self.total -= archive.size
        segment = self.form.content(archive)
        try:
            for problem in zips.unpack(segment, self.allowance, self._begin_entry):
                if TOO_MANY in self.form.problems:
                    return
                self._end_entry(self.form.entries[-1], problem)
        except zips.NotAZip:
            self.form.problems.append(not_a_zip(archive.name))

    def _begin_entry(self, name: str, claimed: int) -> Callable[[bytes], None]:
        entry = Entry(name, start=self.form.spool.end)
        if claimed > MAX_BYTES:
            # It is not unpacked.
            entry.size = claimed
        if self._has_room(self.form.entries):
            self.form.entries.append(entry)
        return partial(self._take_unpacked, entry)

    def _end_entry(self, entry: Entry, problem: Problem | None) -> None:
        entry.problem = problem
        if problem is not None:
            self.form.spool.cut(entry.start)

    def _take_unpacked(self, entry: Entry, data: bytes) -> None:
        if TOO_MANY not in self.form.problems:
            self._count(len(data))
            _add(self.form.spool, entry, data, MAX_BYTES)


def _add(spool: Spool, entry: Entry, data: bytes, limit: int) -> None:
    """Take an entry's next bytes; past the limit, only count them and discard what was kept."""
    if entry.size <= limit < entry.size + len(data):
        spool.cut(entry.start)
    entry.size += len(data)
    entry.digest.update(data)
    if entry.size <= limit:
        spool.append(data)


def _judge(entry: Entry) -> None:
    """Note what is wrong with one image, and set the name under which it is reported."""
    if entry.problem is None:
        entry.problem = _own_problem(entry)
    entry.name = names.label(entry.name) or "image"


def _own_problem(entry: Entry) -> Problem | None:
    if entry.url:
        return image_url.find_problem(entry.url)
    return find_size_problem(entry.size)


def register() -> None:
    """Register `/api/batches` with the server as taking uploads."""
    uploads.register(
        "/api/batches",
        uploads.Upload(MAX_TOTAL + FRAMING_BYTES, partial(doorkeeper.judge, is_open=False), refuses_by_length=True),
    )
