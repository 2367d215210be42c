"""The shape of an API key: how it is made, parsed and hashed. No database here.

A key reads `rmbg_<lookup>_<secret><checksum>`, all base 62:

- `rmbg_` marks it as ours, for secret scanners and for people;
- lookup, 12 characters, is stored as it is and finds the row;
- secret, 30 characters, is 178 bits (30 × log2 62) of randomness and is stored nowhere;
- checksum, 6 characters, is the CRC-32 of everything before it, so that a mistyped or cut key, and most garbage, is
  refused without asking the database. (The layout follows what GitHub's tokens do, for the same reasons.)
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass

from django.conf import settings

PREFIX = "rmbg_"
LOOKUP_LENGTH = 12
SECRET_LENGTH = 30
CHECKSUM_LENGTH = 6
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PATTERN = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{LOOKUP_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH}}}([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)
# Not followed by characters that would make it part of an e-mail address.
PUBLIC_PART = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{LOOKUP_LENGTH}}})(?![0-9A-Za-z@.-])")
KEY_LENGTH = len(PREFIX) + LOOKUP_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH


@dataclass(frozen=True, slots=True)
class KeyText:
    """A well-formed key. `text` is the secret itself: never log, store or display it, except once to its owner."""

    text: str
    lookup: str

    def __repr__(self) -> str:
        return f"KeyText(lookup={self.lookup!r})"

    def digest(self) -> str:
        """HMAC-SHA256 under API_KEY_PEPPER, 64 hexadecimal digits: useless to a thief of the database alone."""
        return hmac.new(settings.API_KEY_PEPPER.encode(), self.text.encode(), hashlib.sha256).hexdigest()


def new_key() -> KeyText:
    """Make a fresh random key."""
    lookup = _random(LOOKUP_LENGTH)
    body = f"{PREFIX}{lookup}_{_random(SECRET_LENGTH)}"
    return KeyText(body + _checksum(body), lookup)


def find_key(text: str) -> KeyText | None:
    """Parse what a caller sent; None for anything that cannot be one of our keys."""
    if len(text) != KEY_LENGTH:
        return None
    match = PATTERN.fullmatch(text)
    if match is None or match[2] != _checksum(text[:-CHECKSUM_LENGTH]):
        return None
    return KeyText(text, match[1])


def find_lookup(text: str) -> str | None:
    """The lookup part of a key, whole or shortened, anywhere in a text. The secret is neither needed nor read."""
    match = PUBLIC_PART.search(text)
    return match[1] if match else None


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, remainder = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[remainder])
    return "".join(reversed(digits))
