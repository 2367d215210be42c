"""Reads a `/rmbg` form while it arrives: text fields, and one picture that is counted, bounded and never written by name.

Django's own parser cannot serve here: it drops a file part with an empty name, which has a message of its own, and a
body over the limit must be noticed, and its real size told, without keeping it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest
from django.http.request import UnreadablePostError
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from imaging.core.codecs.checks import MAX_BYTES
from imaging.core.codecs.headers import find_format
from imaging.removal import codings, part_heads
from imaging.removal.codings import TooMuch, TransferDecoder, Undecodable
from lib.ops.database import give_back
from lib.web import header_parameters
from lib.web.errors import ApiError, from_status
from lib.web.header_parameters import without_single_quotes
from lib.web.request_body import DRAIN_BYTES

FIELD = "image"
# The fields that may be files. Every other part is text, whatever type or file name a client gives it.
FILE_FIELDS = (FIELD, "zip")
# What browsers call a file that has no name, and how many bytes are enough to know an image or a zip.
NAMELESS, DECISIVE_BYTES = "blob", 12
CHUNK_BYTES = 256 * 1024
Reader = Callable[[int], bytes]
# Up to here a picture stays in memory; beyond it goes to a nameless file, which is gone even if we are killed.
MEMORY_BYTES = 1024**2
# No field's value may be anywhere near this long. What is longer is cut, and refused by the field's own check.
MAX_FIELD_BYTES = 8 * 1024
MAX_PARTS = 200
# Options and continuing lines of the headers of one part, on average: browsers send two and none. Quotes and backslashes
# count as a quarter of an option.
MAX_OPTIONS, MAX_FOLDS = 8, 1
# Of a form without files: what 500 addresses and the options need, twice over. An address has some 60 escapes, or 200 in a
# script that is not Latin; each takes 0.4 µs.
MAX_PLAIN_FIELDS = 1000
MAX_PLAIN_BYTES = 2_621_440
MAX_ESCAPES = 100_000
# White space behind a boundary, and how much of it a client may send.
_PADDING = re.compile(rb"[ \t]{1,100}")
BROKEN_OFF = "it broke off before its end."
# What the parser's messages begin with, and what we say instead.
_REASONS = (
    ("Empty boundary", "its Content-Type names no boundary."),
    ("Invalid characters in boundary", "the boundary in its Content-Type is not a boundary."),
    ("Unexpected end", BROKEN_OFF),
    ("Unexpected byte", "there is something at a boundary that does not belong there."),
    ("Invalid line break", "its lines do not all end with CR and LF."),
    ("Maximum segment count", "it has too many parts."),
    ("Maximum segment header", "the headers of its parts are too long or too many."),
    ("Missing Content-Disposition", "one of its parts has no Content-Disposition."),
    ("Invalid Content-Disposition", "the Content-Disposition of one of its parts is not form-data."),
    ("Malformed segment header", "a header of one of its parts is malformed."),
    ("Invalid segment header", "a header of one of its parts is malformed."),
)


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
    bounds = {"max_parts": MAX_PARTS, "max_bytes": DRAIN_BYTES, "max_unpacked": MAX_BYTES + MAX_PLAIN_BYTES}
    if not read_body(request, _FormReader(form), **bounds):
        _give_up(form, _known_length(request))


def read_body(request: HttpRequest, reader: "PartReader", *, max_parts: int, max_bytes: int, max_unpacked: int) -> bool:
    """Hand the parts of a form to `reader` while they arrive. False once `max_bytes` were read, the rest being left there.

    Of a body with a Content-Encoding `max_unpacked` bytes are unpacked.
    Raises ApiError 415 for other content types and codings, 400 for a body that is not what it says or has more than
    `max_parts`, 413 for one that unpacks to far more bytes than images do.
    """
    # A body arrives as slowly as its client sends it.
    give_back()
    media_type, parameters = header_parameters.parse(request.headers.get("Content-Type", ""))
    if media_type not in ("", "multipart/form-data", "application/x-www-form-urlencoded"):
        raise from_status(415)
    read = codings.unpacked(request.read, request.headers.get("Content-Encoding", ""), max_unpacked)
    try:
        if media_type == "multipart/form-data":
            reader.form_charset = parameters.get("charset", "")
            return _read_multipart(read, parameters.get("boundary", ""), reader, max_parts, max_bytes)
        _read_plain(read, reader)
    except TooMuch:
        return False
    except (MultipartError, UnreadablePostError, Undecodable) as error:
        raise ApiError("malformed_form", reason=_reason(error)) from error
    return True


def _read_plain(read: Reader, reader: "PartReader") -> None:
    """A form without files. Not by Django, whose parser takes 0.4 s for a megabyte of `%`.

    Raises ApiError 400 for more than MAX_PLAIN_FIELDS, 413 for more bytes or escapes than addresses of a batch can need.
    """
    body = bytearray()
    while data := read(CHUNK_BYTES):
        body += data
        if len(body) > MAX_PLAIN_BYTES:
            raise from_status(413)
    if body.count(b"&") >= MAX_PLAIN_FIELDS:
        raise ApiError("malformed_form", reason=f"it has more than {MAX_PLAIN_FIELDS} fields.")
    if body.count(b"%") > MAX_ESCAPES:
        raise from_status(413)
    for pair in filter(None, body.replace(b"+", b" ").split(b"&")):
        name, _, value = pair.partition(b"=")
        reader.take_text(_unescaped(name), _unescaped(value)[:MAX_FIELD_BYTES])


def _unescaped(text: bytes | bytearray) -> str:
    return unquote_to_bytes(bytes(text)).decode("utf-8", "replace")


def _reason(error: MultipartError | UnreadablePostError | Undecodable) -> str:
    """What is wrong with a body, in our words: the text of an exception may show anything."""
    if isinstance(error, UnreadablePostError):
        return BROKEN_OFF
    if isinstance(error, Undecodable):
        return error.reason
    text = str(error)
    return next((reason for start, reason in _REASONS if text.startswith(start)), "it is not a sound multipart form.")


def _known_length(request: HttpRequest) -> int:
    """Bytes of the body as announced. The server knows those of a chunked one when it has arrived."""
    return int(request.META.get("CONTENT_LENGTH") or 0)


def _read_multipart(read: Reader, boundary: str, reader: "PartReader", max_parts: int, max_bytes: int) -> bool:
    start = read(CHUNK_BYTES)
    mark = boundary.encode("latin-1", "replace")
    if b"--" + mark not in start:
        mark = without_single_quotes(boundary).encode("latin-1", "replace")
    parser, is_in_part = _Parser(mark, max_segment_count=max_parts), False
    for text, has_boundary in _Pieces(read, mark, start):
        # What holds no boundary goes past the parser, which would search it again.
        events = parser.parse(text) if has_boundary or not is_in_part else (text,)
        for event in events:
            if isinstance(event, MultipartSegment):
                reader.begin(event)
                is_in_part = True
            elif event is None:
                reader.end()
                is_in_part = False
            else:
                reader.take(event)
            if reader.received > max_bytes:
                return False
    parser.close()
    return True


class _Pieces:
    """A body in pieces, each with whether it may hold a boundary. A boundary is never cut.

    White space may stand behind a boundary (RFC 2046, 5.1.1). The parser refuses it: here it is left out.
    """

    def __init__(self, read: Reader, boundary: bytes, start: bytes) -> None:
        self._read, self._mark = read, b"\r\n--" + boundary
        # A form may begin with its boundary, as if a line had ended before.
        self._start, self._rest = b"\r\n" + start, b""
        # Whether the last boundary has come. What follows it is read, and nothing else.
        self._is_over = False

    def __iter__(self) -> Iterator[tuple[bytes, bool]]:
        while data := self._start or self._read(CHUNK_BYTES):
            self._start = b""
            if self._is_over:
                continue
            text = self._rest + data if self._rest else data
            at = text.find(self._mark)
            if ready := self._unpadded(text, at):
                yield ready, at >= 0
        yield self._rest, True

    def _unpadded(self, text: bytes, at: int) -> bytes:
        """`text` but for its end, if that is a boundary of which more may come. The first boundary is at `at`, if any is."""
        done, line_end, pieces = 0, 0, []
        while at >= 0:
            end = at + len(self._mark)
            behind = _PADDING.match(text, end)
            stop = behind.end() if behind else end
            if stop + 2 > len(text):
                break
            if behind and text.startswith(b"\r\n", stop):
                pieces.append(text[done:end])
                done = stop
            line_end = stop + 2
            self._is_over = text.startswith(b"--", end)
            at = -1 if self._is_over else text.find(self._mark, line_end)
        until = at if at >= 0 else self._whole(text, line_end)
        self._rest = text[until:]
        return b"".join([*pieces, text[done:until]]) if pieces else text[:until]

    def _whole(self, text: bytes, start: int) -> int:
        """Up to where `text` goes before a boundary that is cut off at its end. None begins before `start`."""
        cut = text.rfind(b"\r", max(start, len(text) - len(self._mark) + 1))
        return cut if cut >= 0 and self._mark.startswith(text[cut:]) else len(text)


class _Parser(PushMultipartParser):  # type: ignore[misc]  # the library has no types
    """Takes headers in any charset, and bounds what those of all parts together may cost, beyond their own bounds.

    Of options (`; a=b`) and of lines that continue a header, four bytes take a microsecond or more: headers full of them
    took 350 ms for each megabyte.
    """

    def __init__(self, boundary: bytes, *, max_segment_count: int) -> None:
        # Every byte is a character of ISO 8859-1. What they mean is found out later: see part_heads.
        super().__init__(boundary, max_segment_count=max_segment_count, header_charset="latin-1")
        self.marks_left = 4 * MAX_OPTIONS * max_segment_count
        self.folds_left = MAX_FOLDS * max_segment_count

    def _on_segment_headerline(self, line: bytes) -> None:
        self.marks_left -= 4 * line.count(b";") + line.count(b'"') + line.count(b"\\")
        self.folds_left -= line[:1] in (b" ", b"\t")
        if self.marks_left < 0 or self.folds_left < 0:
            raise ParserLimitReached("Maximum segment headers exceeded")
        if line[:15].lower() == b"content-length:":
            # RFC 7578, 4.8: to be ignored. Some clients count characters, or the bytes before they were encoded.
            line = b"X-" + line
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
        self.form_charset = ""
        self._charset = ""
        # What is there of a text; None for a file.
        self._text: bytearray | None = None
        # The first bytes of a part that they will decide on: see `begin`.
        self._start: bytes | None = None
        self._decoder: TransferDecoder | None = None

    def begin(self, segment: MultipartSegment) -> None:
        """A part begins.

        One of FILE_FIELDS without a file name or a type is a file if it begins as one.
        """
        head = part_heads.read(segment, self.form_charset)
        self.name, self._charset = head.name, head.charset
        self._decoder = codings.find_transfer_decoder(head.transfer_coding)
        self._text, self._start = bytearray(), None
        if head.name not in FILE_FIELDS:
            return
        if head.filename is None and not head.is_typed:
            self._start = b""
        else:
            self._text = None
            self.begin_file(NAMELESS if head.filename is None else head.filename)

    def take(self, data: bytes) -> None:
        """Some bytes of the part. Raises Undecodable."""
        self.received += len(data)
        if self._decoder is not None:
            data = self._decoded(self._decoder, data)
        self._take_decoded(data)

    def end(self) -> None:
        """The part is complete. Raises Undecodable."""
        if self._decoder is not None:
            self._take_decoded(self._decoder.end())
        self._decide()
        if self._text is None:
            self.end_file()
        else:
            self.take_text(self.name, part_heads.decode_value(bytes(self._text), self._charset))

    def _decoded(self, decoder: TransferDecoder, data: bytes) -> bytes:
        try:
            return decoder.take(data)
        except Undecodable:
            if not self.has_enough():
                raise
        # The server keeps no more of so long a part: see `lib.web.server.bodies`.
        self._decoder = codings.Counting()
        return self._decoder.take(data)

    def _take_decoded(self, data: bytes) -> None:
        if self._start is not None:
            self._start += data
            if len(self._start) >= DECISIVE_BYTES:
                self._decide()
        elif self._text is None:
            self.take_bytes(data)
        else:
            self._text += data[: MAX_FIELD_BYTES - len(self._text)]

    def _decide(self) -> None:
        """Make a file or a text of a part that has not been either."""
        start, self._start = self._start, None
        if start is None:
            return
        if find_format(start) or start.startswith(b"PK"):
            self._text = None
            self.begin_file(NAMELESS)
        self._take_decoded(start)

    def has_enough(self) -> bool:
        """Whether the file is too large already, so that what follows of it need not be decoded."""
        return False

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
    """Puts the parts of a form where they belong: the first `image` that holds something, text fields, or nowhere."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        self.sink: Picture | None = None
        self.empty: Picture | None = None

    def begin_file(self, filename: str) -> None:
        self.sink, self.empty = None, self.form.picture
        if self.name != FIELD or (self.empty and self.empty.name and self.empty.size):
            return
        if self.empty:
            # Forms of pages send an empty, nameless file for each input that was left empty.
            self.empty.file.close()
        self.sink = self.form.picture = Picture(filename, new_file())

    def take_bytes(self, data: bytes) -> None:
        if self.sink:
            self.sink.write(data)

    def end_file(self) -> None:
        if self.sink and self.empty and not self.sink.size:
            self.sink.file.close()
            self.form.picture = self.empty
        self.sink = None

    def has_enough(self) -> bool:
        return self.sink is not None and self.sink.size > MAX_BYTES

    def take_text(self, name: str, text: str) -> None:
        self.form.fields[name] = text


def new_file() -> BinaryIO:
    """A file for one picture, in memory or nameless."""
    # Closed by read_form, when the request is done.
    return cast(BinaryIO, SpooledTemporaryFile(MEMORY_BYTES))
