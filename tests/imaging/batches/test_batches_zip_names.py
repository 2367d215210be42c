"""Names of a zip's entries: read from their bytes, whatever tool wrote them; files that systems add are left out."""

import struct
import zlib

import pytest

from imaging.batches.names import decoded, is_noise
from tests.imaging.batches.forms import zipped
from tests.imaging.batches.test_batches_upload import read

UTF8, JAPANESE = 1 << 11, "\u5199\u771f\u8868"  # The last letter's second byte in CP932 is 5C.
CP932, MANGLED = JAPANESE.encode("cp932"), "\xc4\u2569\xc9^\xf2_"


def unicode_path(raw: bytes, name: bytes, *, version: int = 1, checksum: int | None = None) -> bytes:
    """The extra field that Info-ZIP, WinRAR and 7-Zip write."""
    data = struct.pack("<BI", version, zlib.crc32(raw) if checksum is None else checksum) + name
    return struct.pack("<HH", 0x7075, len(data)) + data


def raw_zip(*entries: tuple[bytes, bytes, int, int, bytes], attributes: int = 0) -> bytes:
    """Stored entries: name, content, the flags of the entry's header, those of the list, extra fields."""
    files, listed, count = b"", b"", len(entries)
    for name, content, flags, listed_flags, extra in entries:
        facts = (0, 0, 0x21, zlib.crc32(content), len(content), len(content), len(name), len(extra))
        listed += struct.pack("<4s6H3I2H", b"PK\x01\x02", 20, 20, listed_flags, *facts)
        listed += struct.pack("<3H2I", 0, 0, 0, attributes, len(files)) + name + extra
        files += struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, flags, *facts) + name + extra + content
    return files + listed + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(listed), len(files), 0)


def names_of(*entries: tuple[bytes, bytes, int, int, bytes], attributes: int = 0) -> list[tuple[str, str | None]]:
    """Names of the images that a batch takes from a zip, each with the code of its problem."""
    return read(zips=(raw_zip(*entries, attributes=attributes),))


@pytest.mark.parametrize(
    ("raw", "extra", "name"),
    [
        # Windows, in the country's code page.
        (CP932 + b".jpg", b"", MANGLED + ".jpg"),
        (b"\xb1" + CP932 + b".jpg", b"", "\u2592" + MANGLED + ".jpg"),
        (CP932, b"", MANGLED),
        (CP932 + b"/" + CP932 + b".jpg", b"", f"{MANGLED}/{MANGLED}.jpg"),
        ("\u8a31.jpg".encode("big5"), b"", "\u2502_.jpg"),
        (b"caf\x82.jpg", b"", "caf\xe9.jpg"),
        (b"\x80\x95\\.jpg", b"", "\xc7\xf2_.jpg"),
        # macOS and most libraries, also where the bytes are composed otherwise.
        ("B\xfccher/\u5199\u771f.jpg".encode(), b"", "B\xfccher/\u5199\u771f.jpg"),
        ("cafe\u0301.jpg".encode(), b"", "cafe\u0301.jpg"),
        (b"a.jpg\0.exe", b"", "a.jpg"),
        # With the Unicode name next to it.
        (CP932 + b".jpg", unicode_path(CP932 + b".jpg", JAPANESE.encode() + b".jpg"), JAPANESE + ".jpg"),
        (b"____.jpg", b"\x55\x54\5\0\1abcd" + unicode_path(b"____.jpg", b"\xc3\xbc.jpg"), "\xfc.jpg"),
        (b"\xc3\xbc.jpg", unicode_path(b"\xc3\xbc.jpg", b"other.jpg"), "other.jpg"),
        # For another name (the entry was renamed by a tool that does not know the field), of another version, broken.
        (b"new.jpg", unicode_path(b"old.jpg", b"\xc3\xbc.jpg"), "new.jpg"),
        (b"new.jpg", unicode_path(b"new.jpg", b"\xc3\xbc.jpg", version=2), "new.jpg"),
        (b"new.jpg", unicode_path(b"new.jpg", b"\xfc.jpg"), "new.jpg"),
        (b"new.jpg", unicode_path(b"new.jpg", b""), "new.jpg"),
        (b"new.jpg", unicode_path(b"new.jpg", b"\xc3\xbc.jpg")[:8], "new.jpg"),
        (b"new.jpg", b"\x75\x70\xff", "new.jpg"),
    ],
)
def test_a_name_is_read_from_its_bytes(raw, extra, name):
    assert decoded(raw, extra) == name


def test_any_bytes_are_a_name():
    for number in range(256):
        assert decoded(bytes([number, number, 0x41]))[-1:] in ("A", "")


@pytest.mark.parametrize("flags", [(0, 0), (UTF8, UTF8), (0, UTF8), (UTF8, 0)])
@pytest.mark.parametrize(
    ("raw", "name"), [("\u5199\u771f.png".encode(), "\u5199\u771f.png"), (b"caf\xe9.png", "caf\u0398.png")]
)
def test_the_flag_does_not_decide(flags, raw, name, small_png):
    """Latin-1 with the UTF-8 flag is not UTF-8: one such name is no reason to refuse the whole zip, or its entry."""
    assert names_of((raw, small_png, *flags, b""), (b"a.png", small_png, 0, 0, b"")) == [(name, None), ("a.png", None)]


def test_a_name_that_ends_in_5c_is_an_image(small_png):
    """Half of a letter was taken for the end of a folder, and the rest for a file with a leading dot."""
    assert names_of((CP932 + b".png", small_png, 0, 0, b""), (CP932, small_png, 0, 0, b"")) == [
        (MANGLED + ".png", None), (MANGLED, None),
    ]  # fmt: skip


def test_the_name_in_unicode_counts(small_png):
    raw = CP932 + b".png"
    extra = unicode_path(raw, JAPANESE.encode() + b".png")
    assert names_of((raw, small_png, 0, 0, extra)) == [(JAPANESE + ".png", None)]


def test_noise_is_judged_by_the_name_in_unicode(small_png):
    hidden, seen = (unicode_path(b"a.png", name) for name in (b".a.png", b"b.png"))
    assert names_of((b"a.png", small_png, 0, 0, hidden), (b"b.png", small_png, 0, 0, b"")) == [("b.png", None)]
    assert names_of((b"a.png", small_png, 0, 0, seen)) == [("b.png", None)]


@pytest.mark.parametrize(
    "name",
    ["Thumbs.db", "in/THUMBS.DB", "in\\desktop.ini", "ehthumbs.db", "in/Icon\r", ".DS_Store", "in/.DS_Store", "in\\", "in/",
     "__MACOSX/._a.png", "in\\__MACOSX\\a.png", "in/._a.png", ".git/a.png", "in\\.hidden\\a.png"],
)  # fmt: skip
def test_what_systems_put_next_to_images_is_left_out(name, small_png):
    assert is_noise(name)
    assert read(zips=(zipped(("a.png", small_png), (name, b"")),)) == [("a.png", None)]
    assert read(zips=(zipped(("a.png", small_png), (name, small_png)),)) == [("a.png", None)]


@pytest.mark.parametrize("name", ["", "a.png", "../a.png", "./a.png", "C:\\a.png", "MACOSX/a.png", "thumbs.db.png", "a."])
def test_what_is_no_noise(name):
    assert not is_noise(name)


def test_an_empty_entry_with_a_folders_attribute_is_a_folder(small_png):
    assert names_of((b"in", b"", 0, 0, b""), (b"a.png", small_png, 0, 0, b""), attributes=0x10) == [("a.png", None)]


def test_data_that_looks_like_a_header_stays_as_it_is(small_png):
    """Only headers lose their flag: stored bytes that look like one do not."""
    inner = raw_zip((b"\xc3\xbc.png", small_png, UTF8, UTF8, b""))
    content = small_png + bytes(-len(small_png) % 4096) + inner
    assert names_of((b"a.png", content, 0, 0, b"")) == [("a.png", None)]
