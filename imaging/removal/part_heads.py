"""Parses the head of a form's part: names as browsers, PHP, Java and .NET write them, in any of their charsets."""

import binascii
import re
from dataclasses import dataclass
from encodings import normalize_encoding
from encodings.aliases import aliases
from urllib.parse import unquote_to_bytes

from multipart import MultipartSegment

from lib.web import header_parameters
from lib.web.header_parameters import without_single_quotes

# Other charsets are not looked up: Python caches every name looked up, and some codecs are slow.
_CHARSETS = {
    "ascii", "utf_8", "utf_16", "utf_16_le", "utf_16_be", "latin_1", "iso8859_2", "iso8859_3", "iso8859_4",
    "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8", "iso8859_9", "iso8859_10", "iso8859_11", "iso8859_13",
    "iso8859_14", "iso8859_15", "iso8859_16", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256",
    "cp1257", "cp1258", "cp437", "cp850", "cp852", "cp866", "cp874", "koi8_r", "koi8_u", "mac_roman", "cp932",
    "shift_jis", "euc_jp", "iso2022_jp", "gb2312", "gbk", "gb18030", "big5", "cp950", "euc_kr", "cp949",
}  # fmt: skip
# Names that Python does not know, and Windows's meaning of some that it does.
_OTHER_NAMES = {"windows_31j": "cp932", "x_sjis": "cp932", "x_gbk": "gbk", "x_mac_roman": "mac_roman"}
_WIDER = {
    "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "big5": "cp950", "euc_kr": "cp949", "ascii": "cp1252",
    "latin_1": "cp1252",
}  # fmt: skip
_MAX_CHARSET = 40
_UTF_16 = ("utf_16", "utf_16_le", "utf_16_be")
# The charset of longer names is not guessed: file systems allow 255 bytes.
_MAX_GUESSED = 512
# RFC 2047, 2: `=?charset*language?encoding?text?=`. The text holds no question mark.
_ENCODED_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([BbQq])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)[ \t]+(?==\?)")
# RFC 5987, 3.2.1: `charset'language'value`.
_EXTENDED = re.compile(r"([^']{0,40})'[^']*'(.*)", re.DOTALL)
# RFC 2231, 3: `filename*0`, `filename*1*`. No file name needs more pieces than this.
_MAX_PIECES = 20
# Two bytes of CP932, the first of which is not a letter in ISO 8859. Where Windows-1252 has an apostrophe or a letter such
# as `Š` or `œ` in that place, and a letter follows, it is one.
_JAPANESE = re.compile(
    rb"(?:[\x00-\x7f\xa1-\xdf]|[\xe0-\xfc].|[\x8a\x8c\x8e\x9a\x9c\x9e\x9f][A-Za-z]|\x92[A-Za-z\xc0-\xff])*+"
    rb"[\x81-\x9f][\x40-\x7e\x80-\xfc]",
    re.DOTALL,
)
_PRIVATE_USE = re.compile("[\ue000-\uf8ff]")


@dataclass(frozen=True, slots=True)
class PartHead:
    """A part's head. `filename` is None for a part without one; `is_typed`: whether its type is an image or plain bytes.

    `transfer_coding` and `charset` are as sent, empty if missing.
    """

    name: str
    filename: str | None
    is_typed: bool
    transfer_coding: str
    charset: str


def read(segment: MultipartSegment, form_charset: str = "") -> PartHead:
    """The head of a part whose headers were decoded as ISO 8859-1. `form_charset` is that of the form, if it has one."""
    _, parameters = header_parameters.parse(segment.header("Content-Disposition", ""))
    media_type = segment.content_type or ""
    return PartHead(
        name=_plain_text(parameters.get("name", ""), form_charset),
        filename=_find_filename(parameters, form_charset),
        is_typed=media_type.startswith("image/") or media_type == "application/octet-stream",
        transfer_coding=segment.header("Content-Transfer-Encoding", "").strip().lower(),
        charset=segment.charset or "",
    )


def decode_value(value: bytes, charset: str) -> str:
    """The text of a field whose part names `charset`. UTF-8 without one, or if the bytes are valid UTF-8; never an error."""
    codec = find_codec(charset)
    if codec in _UTF_16:
        return value.decode(codec, "replace")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode(codec or "utf-8", "replace")


def find_codec(charset: str) -> str | None:
    """Python's name of a charset's codec, or of the wider one that Windows means by it; None if unknown."""
    name = normalize_encoding(charset[:_MAX_CHARSET].strip().lower())
    name = _OTHER_NAMES.get(name) or aliases.get(name, name)
    return _WIDER.get(name, name) if name in _CHARSETS else None


def _find_filename(parameters: dict[str, str], form_charset: str) -> str | None:
    """The part's file name. The encoded form wins over the plain one, a fallback for recipients that do not support it."""
    plain = parameters.get("filename")
    name = _extended(parameters)
    if name is None:
        name = _in_pieces(parameters)
    if name is None and plain is not None:
        name = _plain_text(plain, form_charset)
    # Old browsers send the whole path.
    return name.rpartition("\\")[2] if name and (name[1:3] == ":\\" or name[:2] == "\\\\") else name


def _plain_text(value: str, form_charset: str) -> str:
    value = without_single_quotes(value)
    if "%" in value and '"' not in value:
        # The only escapes in HTML's rules.
        value = value.replace("%0D", "\r").replace("%0A", "\n").replace("%22", '"')
    text = value if value.isascii() else _guessed(value.encode("latin-1", "replace"), form_charset)
    return _without_encoded_words(text) if "=?" in text else text


def _guessed(value: bytes, charset: str = "") -> str:
    """Decode bytes of unknown charset: as UTF-8, the form's charset, CP932, or Windows-1252."""
    codecs = ["utf-8", find_codec(charset), "cp932" if _looks_japanese(value) else None, "cp1252"]
    for codec in filter(None, codecs):
        try:
            return value.decode(codec)
        except UnicodeDecodeError:
            continue
    return value.decode("latin-1")


def _looks_japanese(value: bytes) -> bool:
    if value.isascii() or len(value) > _MAX_GUESSED or not _JAPANESE.match(value):
        return False
    # Windows maps these bytes to the private use area, while names have letters of Western languages there.
    return not _PRIVATE_USE.search(value.decode("cp932", "ignore"))


def _without_encoded_words(text: str) -> str:
    return _ENCODED_WORD.sub(_decoded_word, _BETWEEN_WORDS.sub("", text))


def _decoded_word(word: re.Match[str]) -> str:
    codec, data = find_codec(word[1]), word[3].encode("utf-8")
    if codec is None:
        return word[0]
    try:
        value = binascii.a2b_qp(data, header=True) if word[2] in "Qq" else binascii.a2b_base64(data + b"==")
    except binascii.Error:
        return word[0]
    return value.decode(codec, "replace")


def _extended(parameters: dict[str, str]) -> str | None:
    """`filename*`, RFC 5987. None if missing, or if empty next to `filename`."""
    value = parameters.get("filename*")
    if value is None:
        return None
    found = _EXTENDED.fullmatch(value)
    charset, escaped = (found[1], found[2]) if found else ("utf-8", value)
    name = _unescaped(escaped.strip('"'), charset)
    return name if name or "filename" not in parameters else None


def _in_pieces(parameters: dict[str, str]) -> str | None:
    """`filename*0`, `filename*1`, …, RFC 2231: e-mail libraries split long names this way."""
    if "filename*0" not in parameters and "filename*0*" not in parameters:
        return None
    charset, pieces = "", []
    for number in range(_MAX_PIECES):
        plain, escaped = parameters.get(f"filename*{number}"), parameters.get(f"filename*{number}*")
        if plain is None and escaped is None:
            break
        if number == 0 and escaped is not None and (found := _EXTENDED.fullmatch(escaped)):
            charset, escaped = found[1], found[2]
        pieces.append((plain or "").encode("latin-1", "replace") if escaped is None else _unescaped_bytes(escaped))
    return _decoded(b"".join(pieces), charset)


def _unescaped(text: str, charset: str) -> str:
    return _decoded(_unescaped_bytes(text), charset)


def _unescaped_bytes(text: str) -> bytes:
    return unquote_to_bytes(text.encode("latin-1", "replace"))


def _decoded(value: bytes, charset: str) -> str:
    codec = find_codec(charset)
    try:
        return value.decode(codec or "utf-8")
    except UnicodeDecodeError:
        return _guessed(value)
