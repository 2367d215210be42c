"""Reads JSON and urlencoded bodies of `/v1.0/` while they arrive.

Neither Django's parser nor Python's can serve here: both would hold an image's base64, up to 70 MB, as text.
"""

import json
import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from imaging.removal.refusals import BodyTooLarge, MalformedForm
from imaging.removal.upload import CHUNK_BYTES, MAX_FIELD_BYTES, MAX_PLAIN_FIELDS, PartReader, Reader

# Everything but the image: no valid request has a tenth of it.
MAX_TEXT_BYTES = 64 * 1024
# What is kept of one value, escapes and all. The rest of a longer one, such as an image in a field that does not exist, is
# read and dropped.
MAX_VALUE_BYTES = 2 * MAX_FIELD_BYTES
MAX_DEPTH = 8
_SPACE = re.compile(rb"[ \t\r\n]*")
_STRUCTURE = re.compile(rb'["{}\[\],]')
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*', re.DOTALL)
# An escape that was cut.
_HALF_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")
# What escapes can stand for in base64; the last ones are .NET's.
_JSON_ESCAPES = (
    (rb"\/", b"/"), (rb"\n", b""), (rb"\r", b""), (rb"\t", b""), (rb"\u002b", b"+"), (rb"\u002B", b"+"),
    (rb"\u002f", b"/"), (rb"\u002F", b"/"), (rb"\u003d", b"="), (rb"\u003D", b"="),
)  # fmt: skip
_FORM_ESCAPES = tuple(
    (f"%{code}".encode(), value)
    for value, codes in {
        b"+": ("2B", "2b"), b"/": ("2F", "2f"), b"=": ("3D", "3d"), b":": ("3A", "3a"), b";": ("3B", "3b"),
        b",": ("2C", "2c"), b"": ("0D", "0d", "0A", "0a", "20"),
    }.items()
    for code in codes
)  # fmt: skip


class FieldReader(PartReader):
    """Takes fields of any encoding. Those that `is_streamed` come piece by piece, the others whole."""

    @abstractmethod
    def is_streamed(self, name: str) -> bool:
        """Whether a field's text is taken while it arrives."""

    @abstractmethod
    def begin_text(self, name: str) -> None:
        """The text of such a field begins."""

    @abstractmethod
    def take_piece(self, data: bytes) -> None:
        """Take some bytes of it."""

    @abstractmethod
    def end_text(self) -> None:
        """It is complete."""


class _Source:
    """A body as a buffer that is refilled."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        # Removing from its front is quick.
        self.buffer = bytearray()
        self.text_bytes = 0

    def fill(self) -> bool:
        """Read more. False at the end."""
        data = self._read(CHUNK_BYTES)
        self.buffer += data
        return bool(data)

    def drop(self, size: int) -> bytes:
        """Remove and return the first bytes, which are not the image's. Raises BodyTooLarge."""
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        self.text_bytes += size
        if self.text_bytes > MAX_TEXT_BYTES:
            raise BodyTooLarge
        return taken

    def keep(self, kept: bytearray, piece: bytes) -> None:
        """Add a piece of a value to what is kept of it, as far as values go. Raises BodyTooLarge for too many values."""
        piece = piece[: MAX_VALUE_BYTES - len(kept)]
        kept += piece
        self.text_bytes += len(piece)
        if self.text_bytes > MAX_TEXT_BYTES:
            raise BodyTooLarge

    def quoted(self) -> bytes:
        """Remove a JSON string and return the JSON of its start. Raises MalformedForm if it has no end."""
        kept = bytearray(self.drop(1))
        while True:
            found = _IN_STRING.match(self.buffer)
            end = found.end() if found else 0
            self.keep(kept, bytes(self.buffer[:end]))
            del self.buffer[:end]
            if self.buffer[:1] == b'"':
                del self.buffer[:1]
                return bytes(kept)
            if not self.fill():
                raise _broken()

    def stream(self, end: bytes, held_back: int, escape: bytes) -> Iterator[bytes]:
        """Yield everything before `end`, in pieces that cut no escape, which has up to `held_back` bytes after `escape`."""
        while True:
            at = self.buffer.find(end)
            stop = at if at >= 0 else len(self.buffer)
            if at < 0:
                cut = self.buffer.find(escape, max(0, stop - held_back))
                stop = cut if cut >= 0 else stop
            piece = bytes(self.buffer[:stop])
            del self.buffer[:stop]
            if piece:
                yield piece
            if at >= 0:
                return
            if not self.fill():
                yield bytes(self.buffer)
                self.buffer.clear()
                return


def _replaced(piece: bytes, escapes: tuple[tuple[bytes, bytes], ...], escape: bytes) -> bytes:
    if escape in piece:
        for text, value in escapes:
            piece = piece.replace(text, value)
    return piece


def read_urlencoded(read: Reader, reader: FieldReader) -> None:
    """Read a urlencoded form. Raises MalformedForm for too many fields, BodyTooLarge for too much text."""
    source = _Source(read)
    for _ in range(MAX_PLAIN_FIELDS):
        while source.buffer[:1] == b"&":
            source.drop(1)
        if not source.buffer and not source.fill():
            return
        if source.buffer[:1] == b"&":
            continue
        _read_pair(source, reader)
    raise MalformedForm(f"it has more than {MAX_PLAIN_FIELDS} fields.")


def _read_pair(source: _Source, reader: FieldReader) -> None:
    # The name ends at the first of the two; a field without a value is empty.
    while not re.search(rb"[=&]", source.buffer):
        if len(source.buffer) > MAX_TEXT_BYTES:
            raise BodyTooLarge
        if not source.fill():
            break
    found = re.search(rb"[=&]", source.buffer)
    name = _unescaped(source.drop(found.start() if found else len(source.buffer)))
    if source.buffer[:1] != b"=":
        reader.take_text(name, "")
        return
    source.drop(1)
    if reader.is_streamed(name):
        reader.begin_text(name)
        # A plus sign is one: white space has no meaning there, and some callers do not escape it.
        for piece in source.stream(b"&", 2, b"%"):
            reader.take_piece(_replaced(piece, _FORM_ESCAPES, b"%"))
        reader.end_text()
    else:
        kept = bytearray()
        for piece in source.stream(b"&", 2, b"%"):
            source.keep(kept, piece)
        reader.take_text(name, _unescaped(bytes(kept))[:MAX_FIELD_BYTES])


def _unescaped(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8", "replace")


def read_json(read: Reader, reader: FieldReader) -> None:
    """Read a JSON object, member by member. An empty body is an empty object.

    Raises MalformedForm for anything else, BodyTooLarge for too much text.
    """
    source = _Source(read)
    source.fill()
    if source.buffer.startswith(b"\xef\xbb\xbf"):
        source.drop(3)
    first = _next(source)
    if first == b"":
        return
    if first != b"{":
        raise MalformedForm("it is not a JSON object.")
    source.drop(1)
    if _next(source) == b"}":
        source.drop(1)
    else:
        while _read_member(source, reader):
            pass
    if _next(source):
        raise _broken()


def _read_member(source: _Source, reader: FieldReader) -> bool:
    """Read one member of the object. False if it was the last."""
    if _next(source) != b'"':
        raise _broken()
    name = _text_of(source.quoted())
    if _next(source) != b":":
        raise _broken()
    source.drop(1)
    if _next(source) == b'"' and reader.is_streamed(name):
        source.drop(1)
        reader.begin_text(name)
        for piece in source.stream(b'"', 5, b"\\"):
            reader.take_piece(_replaced(piece, _JSON_ESCAPES, b"\\"))
        if source.buffer[:1] != b'"':
            raise _broken()
        source.drop(1)
        reader.end_text()
    elif source.buffer[:1] == b'"':
        _take_value(name, _text_of(source.quoted()), reader)
    else:
        _take_value(name, _decoded(_raw_value(source)), reader)
    mark = _next(source)
    if mark not in (b",", b"}"):
        raise _broken()
    source.drop(1)
    return mark == b","


def _next(source: _Source) -> bytes:
    """The next byte that is not white space, which is dropped; empty at the end."""
    while True:
        found = _SPACE.match(source.buffer)
        source.drop(found.end() if found else 0)
        if source.buffer or not source.fill():
            return bytes(source.buffer[:1])


def _raw_value(source: _Source) -> bytes:
    """The JSON of the next value, which is no string, up to the comma or bracket after it."""
    depth = at = 0
    while True:
        found = _STRUCTURE.search(source.buffer, at)
        if found is None:
            at = len(source.buffer)
            _fill(source)
            continue
        mark = bytes(found[0])
        if depth == 0 and mark in b",}]":
            return source.drop(found.start())
        at = _end_of_string(source, found.end()) if mark == b'"' else found.end()
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(mark, 0)
        if depth > MAX_DEPTH:
            raise _broken()
        if depth == 0 and mark in b"}]":
            return source.drop(at)


def _end_of_string(source: _Source, start: int) -> int:
    while True:
        found = _IN_STRING.match(source.buffer, start)
        end = found.end() if found else start
        if source.buffer[end : end + 1] == b'"':
            return end + 1
        _fill(source)


def _fill(source: _Source) -> None:
    if len(source.buffer) > MAX_TEXT_BYTES:
        raise BodyTooLarge
    if not source.fill():
        raise _broken()


def _text_of(start: bytes) -> str:
    """The text of a JSON string without its last quote, which may be cut."""
    if len(start) < MAX_VALUE_BYTES:
        return str(_decoded(start + b'"'))
    text = start.decode("utf-8", "replace")
    try:
        return str(_decoded((_HALF_ESCAPE.sub("", text) + '"').encode()))
    except MalformedForm:
        # Too long for any field: what matters is that it is not empty.
        return text


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise _broken() from None


def _broken() -> MalformedForm:
    return MalformedForm("it is not valid JSON.")


def _take_value(name: str, value: Any, reader: FieldReader) -> None:
    """Pass a value on as the text that a form would have. Null is unset; an object's members are `name[member]`."""
    if isinstance(value, dict):
        for member, inner in value.items():
            if not isinstance(inner, dict):
                _take_value(f"{name}[{member}]", inner, reader)
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(value)
        # Half a surrogate pair is no text.
        reader.take_text(_storable(name), _storable(text)[:MAX_FIELD_BYTES])


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
