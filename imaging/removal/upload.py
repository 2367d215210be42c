"""Reads a form while it arrives: text fields, and files that are counted, bounded and never written under a name.

Django's own parser cannot serve here: it drops a file part with an empty name, for which we have a specific message, and we
must detect a body over the limit and report its real size without keeping it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest
from django.http.request import UnreadablePostError
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from rest_framework.request import Request

from imaging.core.codecs.headers import find_format
from imaging.removal import codings, part_heads
from imaging.removal.codings import TooMuch, TransferDecoder
from imaging.removal.refusals import BodyTooLarge, MalformedForm, UnsupportedMediaType
from lib.ops.database import give_back
from lib.web import header_parameters
from lib.web.header_parameters import without_single_quotes

FIELD = "image"
# The fields that may be files. Every other part is text, regardless of its type or file name.
BACKGROUND_FIELD = "bg_image"
FILE_FIELDS = (FIELD, BACKGROUND_FIELD, "zip")
# Browsers' name for a nameless file, and the number of bytes needed to recognise an image or a zip.
NAMELESS, DECISIVE_BYTES = "blob", 12
CHUNK_BYTES = 256 * 1024
Reader = Callable[[int], bytes]
# No valid field is anywhere near this long. A longer value is cut, and refused by the field's own check.
MAX_FIELD_BYTES = 8 * 1024
MAX_PARTS = 200
# Options and continuing lines of the headers of one part, on average: browsers send two and none. Quotes and backslashes
# count as a quarter of an option.
MAX_OPTIONS, MAX_FOLDS = 8, 1
# For a form without files: twice what 500 URLs and the options need. A URL has some 60 escapes, or 200 in a non-Latin
# script; each takes 0.4 µs.
MAX_PLAIN_FIELDS = 1000
MAX_PLAIN_BYTES = 2_621_440
MAX_ESCAPES = 100_000
# White space after a boundary, and how much of it a client may send.
_PADDING = re.compile(rb"[ \t]{1,100}")
BROKEN_OFF = "it broke off before its end."
# Prefixes of the parser's messages, and our wording for each.
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


def read_body(
    request: HttpRequest | Request,
    reader: "PartReader",
    *,
    max_parts: int,
    max_bytes: int,
    max_unpacked: int,
    plain_readers: Mapping[str, Callable[[Reader, Any], None]] | None = None,
) -> bool:
    """Pass the parts of a form to `reader` while they arrive. False once `max_bytes` were read; the rest is left unread.

    `plain_readers` are what else than multipart is read, by media type; urlencoded forms by default. A body with a
    Content-Encoding is unpacked to at most `max_unpacked` bytes. Raises UnsupportedMediaType or
    UnsupportedCoding; MalformedForm for a body that does not match its headers or has more than `max_parts`; BodyTooLarge
    for one that unpacks to far more bytes than images do.
    """
    # A client may send its body slowly: hold no database connection meanwhile.
    give_back()
    media_type, parameters = header_parameters.parse(request.headers.get("Content-Type", ""))
    readers = _PLAIN_READERS if plain_readers is None else plain_readers
    if media_type not in ("multipart/form-data", *readers):
        raise UnsupportedMediaType
    read = codings.unpacked(request.read, request.headers.get("Content-Encoding", ""), max_unpacked)
    try:
        if media_type == "multipart/form-data":
            reader.form_charset = parameters.get("charset", "")
            return _read_multipart(read, parameters.get("boundary", ""), reader, max_parts, max_bytes)
        readers[media_type](read, reader)
    except TooMuch:
        return False
    except (MultipartError, UnreadablePostError) as error:
        raise MalformedForm(_reason(error)) from error
    return True


def _read_plain(read: Reader, reader: "PartReader") -> None:
    """Read a form without files. Not with Django's parser, which takes 0.4 s for a megabyte of `%`.

    Raises MalformedForm for more than MAX_PLAIN_FIELDS, BodyTooLarge for more bytes or escapes than a batch's URLs can need.
    """
    body = bytearray()
    while data := read(CHUNK_BYTES):
        body += data
        if len(body) > MAX_PLAIN_BYTES:
            raise BodyTooLarge
    if body.count(b"&") >= MAX_PLAIN_FIELDS:
        raise MalformedForm(f"it has more than {MAX_PLAIN_FIELDS} fields.")
    if body.count(b"%") > MAX_ESCAPES:
        raise BodyTooLarge
    for pair in filter(None, body.replace(b"+", b" ").split(b"&")):
        name, _, value = pair.partition(b"=")
        reader.take_text(_unescaped(name), _unescaped(value)[:MAX_FIELD_BYTES])


_PLAIN_READERS: Mapping[str, Callable[[Reader, Any], None]] = dict.fromkeys(
    ("", "application/x-www-form-urlencoded"), _read_plain
)


def _unescaped(text: bytes | bytearray) -> str:
    return unquote_to_bytes(bytes(text)).decode("utf-8", "replace")


def _reason(error: MultipartError | UnreadablePostError) -> str:
    """The problem with a body, in our words: an exception's text may reveal anything."""
    if isinstance(error, UnreadablePostError):
        return BROKEN_OFF
    text = str(error)
    return next((reason for start, reason in _REASONS if text.startswith(start)), "it is not a sound multipart form.")


def _read_multipart(read: Reader, boundary: str, reader: "PartReader", max_parts: int, max_bytes: int) -> bool:
    start = read(CHUNK_BYTES)
    mark = boundary.encode("latin-1", "replace")
    if b"--" + mark not in start:
        mark = without_single_quotes(boundary).encode("latin-1", "replace")
    parser, is_in_part = _Parser(mark, max_segment_count=max_parts), False
    for text, has_boundary in _Pieces(read, mark, start):
        # A piece without a boundary bypasses the parser, which would search it again.
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

    White space may follow a boundary (RFC 2046, 5.1.1). The parser refuses it, so it is removed here.
    """

    def __init__(self, read: Reader, boundary: bytes, start: bytes) -> None:
        self._read, self._mark = read, b"\r\n--" + boundary
        # A form may begin with its boundary, as if after a line break.
        self._start, self._rest = b"\r\n" + start, b""
        # Whether the last boundary has been seen. Anything after it is read and ignored.
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
        """`text` without its end, if that is a boundary that may continue. The first boundary is at `at`, if any is."""
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
        """The length of `text` before a boundary truncated at its end. None begins before `start`."""
        cut = text.rfind(b"\r", max(start, len(text) - len(self._mark) + 1))
        return cut if cut >= 0 and self._mark.startswith(text[cut:]) else len(text)


class _Parser(PushMultipartParser):  # type: ignore[misc]  # the library has no types
    """Accepts headers in any charset, and bounds the total cost of all parts' headers, in addition to the bounds per header.

    Of options (`; a=b`) and of lines that continue a header, four bytes take a microsecond or more: headers full of them
    took 350 ms for each megabyte.
    """

    def __init__(self, boundary: bytes, *, max_segment_count: int) -> None:
        # Every byte is a character of ISO 8859-1. The real charset is found later: see part_heads.
        super().__init__(boundary, max_segment_count=max_segment_count, header_charset="latin-1")
        self.marks_left = 4 * MAX_OPTIONS * max_segment_count
        self.folds_left = MAX_FOLDS * max_segment_count

    def _on_segment_headerline(self, line: bytes) -> None:
        self.marks_left -= 4 * line.count(b";") + line.count(b'"') + line.count(b"\\")
        self.folds_left -= line[:1] in (b" ", b"\t")
        if self.marks_left < 0 or self.folds_left < 0:
            raise ParserLimitReached("Maximum segment headers exceeded")
        if line[:15].lower() == b"content-length:":
            # RFC 7578, 4.8: to be ignored. Some clients count characters, or the bytes before encoding.
            line = b"X-" + line
        super()._on_segment_headerline(line)


class PartReader(ABC):
    """Takes the parts of a form one after the other. A subclass handles each file and text.

    The parts named in `file_fields` are files, except those without a file name and a type, of which the bytes decide;
    those in `pure_files` are files in any case.
    """

    file_fields: ClassVar[Collection[str]] = FILE_FIELDS
    pure_files: ClassVar[Collection[str]] = ()

    def __init__(self) -> None:
        self.received = 0
        self.name = ""
        self.form_charset = ""
        self._charset = ""
        # The text so far; None for a file.
        self._text: bytearray | None = None
        # The first bytes of a part whose kind depends on them: see `begin`.
        self._start: bytes | None = None
        self._decoder: TransferDecoder | None = None

    def begin(self, segment: MultipartSegment) -> None:
        """A part begins."""
        head = part_heads.read(segment, self.form_charset)
        self.name, self._charset = head.name, head.charset
        self._decoder = codings.find_transfer_decoder(head.transfer_coding)
        self._text, self._start = bytearray(), None
        if head.name not in self.file_fields:
            return
        if head.filename is None and not head.is_typed and head.name not in self.pure_files:
            self._start = b""
        else:
            self._text = None
            self.begin_file(NAMELESS if head.filename is None else head.filename)

    def take(self, data: bytes) -> None:
        """Take some bytes of the part. Raises MalformedForm."""
        self.received += len(data)
        if self._decoder is not None:
            data = self._decoded(self._decoder, data)
        self._take_decoded(data)

    def end(self) -> None:
        """The part is complete. Raises MalformedForm."""
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
        except MalformedForm:
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
        """Decide whether an undecided part is a file or a text."""
        start, self._start = self._start, None
        if start is None:
            return
        if find_format(start) or start.startswith(b"PK"):
            self._text = None
            self.begin_file(NAMELESS)
        self._take_decoded(start)

    def has_enough(self) -> bool:
        """Whether the file is already too large, so the rest need not be decoded."""
        return False

    @abstractmethod
    def begin_file(self, filename: str) -> None:
        """A file of the field `name` begins."""

    @abstractmethod
    def take_bytes(self, data: bytes) -> None:
        """Take some bytes of the file."""

    @abstractmethod
    def end_file(self) -> None:
        """The file is complete."""

    @abstractmethod
    def take_text(self, name: str, text: str) -> None:
        """A text field, at most MAX_FIELD_BYTES long."""
