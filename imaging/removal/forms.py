"""The form of one image, and its parser: text fields, and an image of which no more is kept than may be sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, Self, TypeVar, cast

from django.http import HttpRequest
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from imaging.core.codecs.checks import MAX_BYTES
from imaging.removal.refusals import BodyTooLarge
from imaging.removal.upload import BACKGROUND_FIELD, FIELD, MAX_PARTS, MAX_PLAIN_BYTES, PartReader, read_body
from lib.web.request_body import DRAIN_BYTES

# Up to this size an image stays in memory; a larger one goes to an anonymous file, which disappears even if we are killed.
MEMORY_BYTES = 1024**2


@dataclass(slots=True)
class ImageFile:
    """The uploaded image. `size` is the bytes sent; `file` holds it only up to MAX_BYTES.

    `fetched` means that it was downloaded, not uploaded: no one named it as a file, so its name proves nothing.
    """

    name: str
    file: BinaryIO
    size: int = 0
    fetched: bool = False

    def write(self, data: bytes) -> None:
        """Take the next bytes; past the limit only count them, and discard those kept."""
        if self.size <= MAX_BYTES < self.size + len(data):
            self.file.seek(0)
            self.file.truncate()
        self.size += len(data)
        if self.size <= MAX_BYTES:
            self.file.write(data)


class UploadForm(dict[str, str]):
    """A parsed form: its text fields, and files that are deleted when the block of the form ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the files. Calls after the first do nothing."""
        raise NotImplementedError


class Form(UploadForm):
    """The form of one image. `image` is None without an `image` file part, `background` without a `bg_image`."""

    image: ImageFile | None = None
    background: ImageFile | None = None

    def close(self) -> None:
        self.close_image()
        if self.background:
            self.background.file.close()

    def close_image(self) -> None:
        """Delete the image alone."""
        if self.image:
            self.image.file.close()


class FormParser(BaseParser):
    """Parses the form of one image, of any content type that forms have."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Form:
        """Read the request's body.

        Raises UnsupportedMediaType or UnsupportedCoding; MalformedForm for a body that does not match its headers;
        BodyTooLarge.
        """
        request = (parser_context or {})["request"]
        form = Form()
        try:
            most = 2 * MAX_BYTES + MAX_PLAIN_BYTES
            if not read_body(request, _FormReader(form), max_parts=MAX_PARTS, max_bytes=DRAIN_BYTES, max_unpacked=most):
                _give_up(form, _known_length(request))
        except BaseException:
            form.close()
            raise
        return form


FormT = TypeVar("FormT", bound=UploadForm)


def get_form(request: Request, kind: type[FormT]) -> FormT:
    """The form that the view's parser reads, now. It is not read before: the request may still be refused without it.

    DRF calls no parser for an empty body. Ours decides about that as about any other body.
    """
    form: object = request.data
    if not isinstance(form, UploadForm):
        [parser] = request.parsers or []
        form = parser.parse(cast(IO[bytes], request), request.content_type, request.parser_context)
    assert isinstance(form, kind)  # noqa: S101 - for mypy: the view declares the parser
    return form


def raise_refusal(request: HttpRequest | Request) -> None:
    """Raise the error that the server found for the sender of a large upload. The body of such a request was discarded."""
    refusal = request.META.get("rembg.refusal")
    if refusal is not None:
        raise refusal


def _known_length(request: HttpRequest | Request) -> int:
    """The announced bytes of the body. For a chunked one the server knows them once it has arrived."""
    return int(request.META.get("CONTENT_LENGTH") or 0)


def _give_up(form: Form, known_length: int) -> None:
    """Stop reading a body that is far too large; the image's size is then the announced one."""
    if form.image is None or form.image.size <= MAX_BYTES:
        raise BodyTooLarge
    form.image.size = max(form.image.size, known_length)


# Where the form keeps the file of each field.
_ATTRIBUTES = {FIELD: "image", BACKGROUND_FIELD: "background"}


class _FormReader(PartReader):
    """Stores the parts of a form: the first non-empty `image` and `bg_image`, and the text fields. Drops all others."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        self.sink: ImageFile | None = None
        self.empty: ImageFile | None = None

    def begin_file(self, filename: str) -> None:
        self.sink, self.empty = None, None
        if self.name not in _ATTRIBUTES:
            return
        self.empty = getattr(self.form, _ATTRIBUTES[self.name])
        if self.empty and self.empty.name and self.empty.size:
            return
        if self.empty:
            # Browsers' forms send an empty, nameless file for each empty input.
            self.empty.file.close()
        self.sink = ImageFile(filename, new_file())
        setattr(self.form, _ATTRIBUTES[self.name], self.sink)

    def take_bytes(self, data: bytes) -> None:
        if self.sink:
            self.sink.write(data)

    def end_file(self) -> None:
        if self.sink and self.empty and not self.sink.size:
            self.sink.file.close()
            setattr(self.form, _ATTRIBUTES[self.name], self.empty)
        self.sink = None

    def has_enough(self) -> bool:
        return self.sink is not None and self.sink.size > MAX_BYTES

    def take_text(self, name: str, text: str) -> None:
        self.form[name] = text


def new_file() -> BinaryIO:
    """A file for one image, in memory or anonymous."""
    # The form closes it at the end of the request.
    return cast(BinaryIO, SpooledTemporaryFile(MEMORY_BYTES))
