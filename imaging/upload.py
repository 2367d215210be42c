"""Reads a `/rmbg` form while it arrives: text fields, and one picture that is counted, bounded and never written by name.

Django's own parser cannot serve here: it drops a file part with an empty name, which has a message of its own, and a
body over the limit must be noticed, and its real size told, without keeping it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from urllib.parse import unquote, unquote_to_bytes

from django.http import HttpRequest
from django.http.request import UnreadablePostError
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from config.database import give_back
from config.errors import ApiError, from_status
from config.request_body import DRAIN_BYTES
from imaging.core.checks import MAX_BYTES

FIELD = "image"
CHUNK_BYTES = 256 * 1024
# Up to here a picture stays in memory; beyond it goes to a nameless file, which is gone even if we are killed.
MEMORY_BYTES = 1024**2
# No field's value may be anywhere near this long. What is longer is cut, and refused by the field's own check.
MAX_FIELD_BYTES = 8 * 1024
MAX_PARTS = 200
# Options and continuing lines of the headers of one part, on average: browsers send two and none.
MAX_OPTIONS, MAX_FOLDS = 8, 1
# Of a form without files: what 500 addresses and the options need, twice over. An address has some 60 escapes, or 200 in a
# script that is not Latin; each takes 0.4 µs.
MAX_PLAIN_FIELDS = 1000
MAX_PLAIN_BYTES = 2_621_440
MAX_ESCAPES = 100_000
ENCODED_FILENAME = re.compile(r"filename\*=utf-8'[^']*'([^;\s]*)", re.IGNORECASE)


@dataclass(slots=True)
class Picture:
    """The uploaded picture. `size` is what was sent, in bytes; `file` holds it only up to MAX_BYTES.

    `fetched` tells that it was not uploaded but downloaded: nobody named it as a file, so that its name proves nothing.
    """

    name: str
    file: BinaryIO
    size: int = 0
    fetched: bool = False

    def write(self, data: bytes) -> None:
        """Take the next bytes; past the limit only count them, and let go of what was kept."""
        if self.size <= MAX_BYTES < self.size + len(data):
            self.file.seek(0)
            self.file.truncate()
        self.size += len(data)
        if self.size <= MAX_BYTES:
            self.file.write(data)


@dataclass(slots=True)
class Form:
    """A parsed form. `picture` is None without an `image` file part."""

    fields: dict[str, str] = field(default_factory=dict)
    picture: Picture | None = None


@contextmanager
def read_form(request: HttpRequest) -> Iterator[Form]:
    """Parse the request's body. The picture's file is gone when the block ends.

    Raises ApiError 415 for other content types, 400 for a body that is not what it says.
    """
    form = Form()
    try:
        _read(request, form)
        yield form
    finally:
        if form.picture:
            form.picture.file.close()


def _read(request: HttpRequest, form: Form) -> None:
    if not read_body(request, _FormReader(form), max_parts=MAX_PARTS, max_bytes=DRAIN_BYTES):
        _give_up(form, _known_length(request))


def read_body(request: HttpRequest, reader: "PartReader", *, max_parts: int, max_bytes: int) -> bool:
    """Hand the parts of a form to `reader` while they arrive. False once `max_bytes` were read, the rest being left there.

    Raises ApiError 415 for other content types, 400 for a body that is not what it says or has more than `max_parts`.
    """
    # A body arrives as slowly as its client sends it.
    give_back()
    media_type, parameters = parse_options_header(request.headers.get("Content-Type", ""))
    if media_type == "multipart/form-data":
        try:
            return _read_multipart(request, parameters.get("boundary", ""), reader, max_parts, max_bytes)
        except (MultipartError, UnreadablePostError) as error:
            raise malformed_form(_reason(error)) from error
    if media_type not in ("", "application/x-www-form-urlencoded"):
        raise from_status(415)
    _read_plain(request, reader)
    return True


def _read_plain(request: HttpRequest, reader: "PartReader") -> None:
    """A form without files. Not by Django, whose parser takes 0.4 s for a megabyte of `%`.

    Raises ApiError 400 for more than MAX_PLAIN_FIELDS, 413 for more bytes or escapes than addresses of a batch can need.
    """
    body = bytearray()
    try:
        while data := request.read(CHUNK_BYTES):
            body += data
            if len(body) > MAX_PLAIN_BYTES:
                raise from_status(413)
    except UnreadablePostError as error:
        raise malformed_form(_reason(error)) from error
    if body.count(b"&") >= MAX_PLAIN_FIELDS:
        raise malformed_form(f"it has more than {MAX_PLAIN_FIELDS} fields.")
    if body.count(b"%") > MAX_ESCAPES:
        raise from_status(413)
    for pair in filter(None, body.replace(b"+", b" ").split(b"&")):
        name, _, value = pair.partition(b"=")
        reader.take_text(_unescaped(name), _unescaped(value)[:MAX_FIELD_BYTES])


def _unescaped(text: bytes | bytearray) -> str:
    return unquote_to_bytes(bytes(text)).decode("utf-8", "replace")


def _reason(error: MultipartError | UnreadablePostError) -> str:
    """What is wrong with a body, for its sender: a text of the parser's, or ours where that would show Python's insides."""
    if isinstance(error, UnreadablePostError):
        return "it broke off before its end."
    if isinstance(error.__context__, UnicodeDecodeError):
        return "the headers of its parts are not all UTF-8."
    return str(error)


def malformed_form(reason: str) -> ApiError:
    """The answer to a body that ends early or is not the form that its header says."""
    return ApiError(400, "malformed_form", f"The form data could not be read: {reason}")


def _known_length(request: HttpRequest) -> int:
    """Bytes of the body as announced. The server knows those of a chunked one when it has arrived."""
    return int(request.META.get("CONTENT_LENGTH") or 0)


def _read_multipart(request: HttpRequest, boundary: str, reader: "PartReader", max_parts: int, max_bytes: int) -> bool:
    parser = _Parser(boundary, content_length=_known_length(request), max_segment_count=max_parts)
    for event in parser.parse_blocking(request.read, CHUNK_BYTES):
        if isinstance(event, MultipartSegment):
            reader.begin(event)
        elif event is None:
            reader.end()
        else:
            reader.take(event)
        if reader.received > max_bytes:
            return False
    parser.close()
    return True


class _Parser(PushMultipartParser):  # type: ignore[misc]  # the library has no types
    """Also bounds what the headers of all parts together may cost, beyond their own bounds.

    Of options (`; a=b`) and of lines that continue a header, four bytes take a microsecond or more: headers full of them
    took 350 ms for each megabyte.
    """

    def __init__(self, boundary: str, *, content_length: int, max_segment_count: int) -> None:
        super().__init__(boundary, content_length=content_length, max_segment_count=max_segment_count)
        self.options_left = MAX_OPTIONS * max_segment_count
        self.folds_left = MAX_FOLDS * max_segment_count

    def _on_segment_headerline(self, line: bytes) -> None:
        self.options_left -= line.count(b";")
        self.folds_left -= line[:1] in (b" ", b"\t")
        if self.options_left < 0 or self.folds_left < 0:
            raise ParserLimitReached("The headers of its parts are too long")
        super()._on_segment_headerline(line)


def _give_up(form: Form, known_length: int) -> None:
    """Stop reading a body that is far too large; the picture's size is then what the caller announced."""
    if form.picture is None or form.picture.size <= MAX_BYTES:
        raise from_status(413)
    form.picture.size = max(form.picture.size, known_length)


class PartReader(ABC):
    """Takes the parts of a form one after the other. What becomes of a file or of a text, a subclass says."""

    def __init__(self) -> None:
        self.received = 0
        self.name = ""
        self._text: bytearray | None = None

    def begin(self, segment: MultipartSegment) -> None:
        """A part begins."""
        self.name = segment.name or ""
        filename = _filename(segment)
        self._text = bytearray() if filename is None else None
        if filename is not None:
            self.begin_file(filename)

    def take(self, data: bytes) -> None:
        """Some bytes of the part."""
        self.received += len(data)
        if self._text is None:
            self.take_bytes(data)
        else:
            self._text += data[: MAX_FIELD_BYTES - len(self._text)]

    def end(self) -> None:
        """The part is complete."""
        if self._text is None:
            self.end_file()
        else:
            self.take_text(self.name, self._text.decode("utf-8", "replace"))

    @abstractmethod
    def begin_file(self, filename: str) -> None:
        """A file of the field `name` begins."""

    @abstractmethod
    def take_bytes(self, data: bytes) -> None:
        """Some bytes of the file."""

    @abstractmethod
    def end_file(self) -> None:
        """The file is complete."""

    @abstractmethod
    def take_text(self, name: str, text: str) -> None:
        """A text field, at most MAX_FIELD_BYTES long."""


class _FormReader(PartReader):
    """Puts the parts of a form where they belong: the first `image` file, text fields, or nowhere."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        self.sink: Picture | None = None

    def begin_file(self, filename: str) -> None:
        self.sink = None
        if self.name == FIELD and self.form.picture is None:
            self.sink = self.form.picture = Picture(filename, new_file())

    def take_bytes(self, data: bytes) -> None:
        if self.sink:
            self.sink.write(data)

    def end_file(self) -> None:
        self.sink = None

    def take_text(self, name: str, text: str) -> None:
        self.form.fields[name] = text


def new_file() -> BinaryIO:
    """A file for one picture, in memory or nameless."""
    # Closed by read_form, when the request is done.
    return cast(BinaryIO, SpooledTemporaryFile(MEMORY_BYTES))


def _filename(segment: MultipartSegment) -> str | None:
    """The part's file name; None for a text field.

    A part without a name that says it is a picture counts as a file, and so does the encoded form `filename*` of
    RFC 5987, which some clients send for names outside ASCII.
    """
    if segment.filename is not None:
        return str(segment.filename)
    encoded = ENCODED_FILENAME.search(segment.header("Content-Disposition", ""))
    if encoded:
        return unquote(encoded[1], errors="replace")
    media_type = segment.content_type or ""
    return "blob" if media_type.startswith("image/") or media_type == "application/octet-stream" else None
