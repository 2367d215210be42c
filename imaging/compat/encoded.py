"""`image_file_b64`: decodes base64 into a file while it arrives, so that its text is never held in memory."""

import binascii

from imaging.core.codecs.checks import MAX_BYTES
from imaging.removal.forms import ImageFile

# RFC 4648, 5: the alphabet for addresses, which some callers use.
_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")
_WHITE_SPACE = b" \t\r\n"
_PREFIX = b"data:"
# `data:image/svg+xml;charset=utf-8;base64,`, and more.
_MAX_PREFIX = 256


class EncodedImage:
    """Decodes text piece by piece into `image`. `is_damaged` once something is not base64; the rest is then ignored."""

    def __init__(self, image: ImageFile) -> None:
        self.image = image
        self.is_damaged = False
        self._start: bytes | None = b""
        self._rest = b""
        self._has_ended = False

    def take(self, text: bytes) -> None:
        """Take the next piece of the text. White space in it, and a `data:` address before it, are ignored."""
        if self._start is not None:
            text = self._without_prefix(self._start + text.lstrip(_WHITE_SPACE if not self._start else b""))
        if self.image.size > MAX_BYTES:
            # Only its size still matters.
            self.image.size += len(text) * 3 // 4
        elif text and not self.is_damaged:
            self._decode(self._rest + text.translate(_ONE_ALPHABET, _WHITE_SPACE))

    def end(self) -> None:
        """The text is complete. Missing padding is no damage."""
        if self._start:
            # A text shorter than any prefix.
            start, self._start = self._start, None
            self._rest = start.translate(_ONE_ALPHABET, _WHITE_SPACE)
        rest, self._rest = self._rest, b""
        if rest and not self.is_damaged and self.image.size <= MAX_BYTES:
            self._decode(rest.ljust(-(-len(rest) // 4) * 4, b"="))

    def _without_prefix(self, text: bytes) -> bytes:
        if len(text) < len(_PREFIX) or (text[:5].lower() == _PREFIX and b"," not in text and len(text) < _MAX_PREFIX):
            self._start = text
            return b""
        self._start = None
        return text.partition(b",")[2] if text[:5].lower() == _PREFIX else text

    def _decode(self, text: bytes) -> None:
        end = len(text) // 4 * 4
        self._rest, text = text[end:], text[:end]
        if not text:
            return
        try:
            data = b"" if self._has_ended else binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            data = b""
        self._has_ended = text.endswith(b"=")
        if data:
            self.image.write(data)
        else:
            self.is_damaged = True
