"""Bodies and parts of forms that come encoded: gzip and deflate, base64 and quoted-printable, decoded while they arrive."""

import binascii
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable

from imaging.removal.part_heads import find_codec
from lib.web.errors import ApiError

MEBIBYTE = 1024**2
# Packed bytes that are read at once.
_PACKED_BYTES = 64 * 1024
# Unpacked bytes for each packed one that cost nothing of the allowance, as of zips, and the allowance: a blank screenshot of
# 3840x2160 as BMP has room. It is less than for zips, of which more is known before anything is unpacked; to unpack it and
# put it away takes some 100 ms.
_FREE_RATIO = 20
_MAX_EXCESS = 32 * MEBIBYTE
# gzip files may be joined, and some programs write one for each 64 kB. Short ones cost far more time than they carry.
_FREE_MEMBERS, _MEAN_MEMBER_BYTES = 100, 16 * 1024
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
# No coding, but things that clients take for one.
_NO_CODINGS = ("", "identity", "binary", "7bit", "8bit", "none")


class Undecodable(Exception):
    """The bytes are not what they should be. `reason` is for their sender."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooMuch(Exception):
    """A body unpacks to more than may be read of it."""


def is_coded(content_encoding: str) -> bool:
    """Whether a header Content-Encoding says that the body is packed, in whatever way."""
    name = content_encoding.strip().lower()
    return name not in _NO_CODINGS and find_codec(name) is None


def unpacked(read: Callable[[int], bytes], content_encoding: str, max_bytes: int) -> Callable[[int], bytes]:
    """A body's `read`, through what unpacks it. `max_bytes` may come of it.

    Raises ApiError 415 for codings other than gzip and deflate. What is returned raises Undecodable, TooMuch past
    `max_bytes`, and ApiError 413 for a body that unpacks to far more bytes than images do.
    """
    if not is_coded(content_encoding):
        return read
    name = content_encoding.strip().lower().removeprefix("x-")
    if name not in ("gzip", "deflate"):
        raise not_supported()
    return _Inflating(read, name, max_bytes).read


def not_supported() -> ApiError:
    """The answer to a body in a coding that cannot be unpacked."""
    message = "This Content-Encoding is not supported here. Send the body as it is, or in gzip or deflate."
    # RFC 9110, 15.5.16: what would be supported.
    return ApiError("unsupported_media_type", message=message, headers={"Accept-Encoding": "gzip, deflate"})


class _Inflating:
    """Unpacks while it is read. At no time more is unpacked than is asked for."""

    def __init__(self, read: Callable[[int], bytes], name: str, max_bytes: int) -> None:
        self._source, self._name, self._max_bytes = read, name, max_bytes
        self._packed = self._unpacked = self._members = 0
        self._rest = b""
        self._inflater: zlib._Decompress | None = None

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none only at the end."""
        try:
            while inflater := self._inflater or self._begin():
                if data := self._inflate(inflater, size):
                    self._count(len(data))
                    return data
        except zlib.error:
            raise Undecodable(f"its {self._name} data is damaged.") from None
        return b""

    def _begin(self) -> "zlib._Decompress | None":
        """Begin with the next member; None if there is none."""
        while not self._rest and self._fill():
            # What pads a file behind its end.
            self._rest = self._rest.lstrip(b"\0") if self._members else self._rest
        if not self._rest:
            return None
        self._members += 1
        most = _FREE_MEMBERS + self._packed // _MEAN_MEMBER_BYTES if self._name == "gzip" else 1
        if self._members > most:
            raise Undecodable(f"its {self._name} data does not end where it should.")
        self._inflater = zlib.decompressobj(_GZIP if self._name == "gzip" else self._deflate_bits())
        return self._inflater

    def _deflate_bits(self) -> int:
        """RFC 9110 means zlib's format by "deflate"; some clients send it bare. RFC 1950 has the test of the first bytes."""
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
            raise Undecodable(f"its {self._name} data ends early.")
        return data

    def _count(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > self._max_bytes:
            raise TooMuch
        if self._unpacked - _FREE_RATIO * self._packed > _MAX_EXCESS:
            text = "The request body unpacks to far more bytes than images do."
            raise ApiError("payload_too_large", message=text)


class TransferDecoder(ABC):
    """Decodes a part of a form, piece by piece."""

    @abstractmethod
    def take(self, data: bytes) -> bytes:
        """What the next piece holds. Raises Undecodable."""

    @abstractmethod
    def end(self) -> bytes:
        """What the last piece left. Raises Undecodable."""


def find_transfer_decoder(coding: str) -> TransferDecoder | None:
    """The decoder for a header Content-Transfer-Encoding; None where there is nothing to decode."""
    decoders: dict[str, type[TransferDecoder]] = {"base64": _Base64, "quoted-printable": _QuotedPrintable}
    decoder = decoders.get(coding)
    return decoder() if decoder else None


class Counting(TransferDecoder):
    """Stands in for base64 of which the server keeps no more: what is missing is counted as what it stood for, as zeros."""

    def take(self, data: bytes) -> bytes:
        # 76 characters and a line break for 57 bytes.
        return bytes(len(data) * 57 // 78)

    def end(self) -> bytes:
        return b""


class _Base64(TransferDecoder):
    """RFC 2045, 6.8, but for characters outside of its alphabet, which it would skip: they are a mistake."""

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
            raise Undecodable("the base64 of a part goes on after its end.")
        self._has_ended = text.endswith(b"=")
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            raise Undecodable("the base64 of a part is damaged.") from None

    def end(self) -> bytes:
        if self._rest:
            raise Undecodable("the base64 of a part is damaged.")
        return b""


class _QuotedPrintable(TransferDecoder):
    """RFC 2045, 6.7. What is no escape stays as it is."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> bytes:
        text = self._rest + data
        # An escape, or an equals sign with its line break, may go on in the next piece.
        escape = text.rfind(b"=", len(text) - 2 if len(text) > 1 else 0)
        end = len(text) if escape < 0 else escape
        self._rest = text[end:]
        return binascii.a2b_qp(text[:end])

    def end(self) -> bytes:
        return binascii.a2b_qp(self._rest)
