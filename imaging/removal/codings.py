"""Decodes request bodies and form parts while they arrive: gzip and deflate, base64 and quoted-printable."""

import binascii
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable

from imaging.removal.part_heads import find_codec
from imaging.removal.refusals import BodyTooLarge, MalformedForm, UnsupportedCoding

MEBIBYTE = 1024**2
# Packed bytes per read.
_PACKED_BYTES = 64 * 1024
# Unpacked bytes per packed byte that do not count against the allowance, as for zips, and the allowance: a blank screenshot
# of 3840x2160 as BMP fits. It is less than for zips, of which more is known before unpacking; unpacking and storing it takes
# some 100 ms.
_FREE_RATIO = 20
_MAX_EXCESS = 32 * MEBIBYTE
# gzip files may be joined, and some programs write one for each 64 kB. Short ones cost far more time than their data is
# worth.
_FREE_MEMBERS, _MEAN_MEMBER_BYTES = 100, 16 * 1024
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
# Values that clients send as a coding but that mean none.
_NO_CODINGS = ("", "identity", "binary", "7bit", "8bit", "none")


class TooMuch(Exception):
    """A body unpacks to more than the limit."""


def is_coded(content_encoding: str) -> bool:
    """Whether a Content-Encoding header declares any coding of the body."""
    name = content_encoding.strip().lower()
    return name not in _NO_CODINGS and find_codec(name) is None


def unpacked(read: Callable[[int], bytes], content_encoding: str, max_bytes: int) -> Callable[[int], bytes]:
    """Wrap a body's `read` to unpack it, to at most `max_bytes`.

    Raises UnsupportedCoding for codings other than gzip and deflate. The returned function raises MalformedForm, TooMuch
    past `max_bytes`, and BodyTooLarge for a body that unpacks to far more bytes than images do.
    """
    if not is_coded(content_encoding):
        return read
    name = content_encoding.strip().lower().removeprefix("x-")
    if name not in ("gzip", "deflate"):
        raise UnsupportedCoding
    return _Inflating(read, name, max_bytes).read


class _Inflating:
    """Unpacks while it is read, never more than requested."""

    def __init__(self, read: Callable[[int], bytes], name: str, max_bytes: int) -> None:
        self._source, self._name, self._max_bytes = read, name, max_bytes
        self._packed = self._unpacked = self._members = 0
        self._rest = b""
        self._inflater: zlib._Decompress | None = None

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, empty only at the end."""
        try:
            while inflater := self._inflater or self._begin():
                if data := self._inflate(inflater, size):
                    self._count(len(data))
                    return data
        except zlib.error:
            raise MalformedForm(f"its {self._name} data is damaged.") from None
        return b""

    def _begin(self) -> "zlib._Decompress | None":
        """Begin with the next member; None if there is none."""
        while not self._rest and self._fill():
            # Padding after the end of a member.
            self._rest = self._rest.lstrip(b"\0") if self._members else self._rest
        if not self._rest:
            return None
        self._members += 1
        most = _FREE_MEMBERS + self._packed // _MEAN_MEMBER_BYTES if self._name == "gzip" else 1
        if self._members > most:
            raise MalformedForm(f"its {self._name} data does not end where it should.")
        self._inflater = zlib.decompressobj(_GZIP if self._name == "gzip" else self._deflate_bits())
        return self._inflater

    def _deflate_bits(self) -> int:
        """RFC 9110's "deflate" is zlib's format; some clients send raw deflate. RFC 1950 has the test of the first bytes."""
        while len(self._rest) < 2 and self._fill():
            pass
        has_header = self._rest[0] & 15 == 8 and int.from_bytes(self._rest[:2]) % 31 == 0
        return _ZLIB if has_header else _RAW_DEFLATE

    def _fill(self) -> bool:
        data = self._source(_PACKED_BYTES)
        self._packed += len(data)
        self._rest += data
        return bool(data)

    def _inflate(self, inflater: "zlib._Decompress", size: int) -> bytes:
        is_over = not self._rest and not self._fill()
        data = inflater.decompress(self._rest, size)
        self._rest = inflater.unconsumed_tail
        if inflater.eof:
            self._rest, self._inflater = inflater.unused_data.lstrip(b"\0"), None
        elif is_over and not data:
            raise MalformedForm(f"its {self._name} data ends early.")
        return data

    def _count(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > self._max_bytes:
            raise TooMuch
        if self._unpacked - _FREE_RATIO * self._packed > _MAX_EXCESS:
            raise BodyTooLarge("The request body unpacks to far more bytes than images do.")


class TransferDecoder(ABC):
    """Decodes a part of a form, piece by piece."""

    @abstractmethod
    def take(self, data: bytes) -> bytes:
        """Decode the next piece. Raises MalformedForm."""

    @abstractmethod
    def end(self) -> bytes:
        """Decode what remains after the last piece. Raises MalformedForm."""


def find_transfer_decoder(coding: str) -> TransferDecoder | None:
    """The decoder for a header Content-Transfer-Encoding; None if there is nothing to decode."""
    decoders: dict[str, type[TransferDecoder]] = {"base64": _Base64, "quoted-printable": _QuotedPrintable}
    decoder = decoders.get(coding)
    return decoder() if decoder else None


class Counting(TransferDecoder):
    """Replaces base64 decoding once the server keeps no more data: the rest is counted at its decoded size, as zeros."""

    def take(self, data: bytes) -> bytes:
        # 76 characters and a line break for 57 bytes.
        return bytes(len(data) * 57 // 78)

    def end(self) -> bytes:
        return b""


class _Base64(TransferDecoder):
    """RFC 2045, 6.8, except that characters outside its alphabet, which the RFC skips, are an error."""

    def __init__(self) -> None:
        self._rest = b""
        self._has_ended = False

    def take(self, data: bytes) -> bytes:
        text = self._rest + data.translate(None, b" \t\r\n")
        end = len(text) // 4 * 4
        self._rest, text = text[end:], text[:end]
        if not text:
            return b""
        if self._has_ended:
            raise MalformedForm("the base64 of a part goes on after its end.")
        self._has_ended = text.endswith(b"=")
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            raise MalformedForm("the base64 of a part is damaged.") from None

    def end(self) -> bytes:
        if self._rest:
            raise MalformedForm("the base64 of a part is damaged.")
        return b""


class _QuotedPrintable(TransferDecoder):
    """RFC 2045, 6.7. Anything but an escape is unchanged."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> bytes:
        text = self._rest + data
        # An escape, or an equals sign with its line break, may continue in the next piece.
        escape = text.rfind(b"=", len(text) - 2 if len(text) > 1 else 0)
        end = len(text) if escape < 0 else escape
        self._rest = text[end:]
        return binascii.a2b_qp(text[:end])

    def end(self) -> bytes:
        return binascii.a2b_qp(self._rest)
