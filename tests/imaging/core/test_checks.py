import io
import struct
import zlib

import pytest
from PIL import Image

from imaging.core.codecs.checks import MAX_BYTES, ImageHeader, check_image
from tests.imaging.core.pictures import bmp, check, exif, file_bytes, photo, png, png_chunk

INVALID = "File does not appear to be a valid image (invalid file signature)"


def check_without_decoding(data, name, size=None):
    """No check may decode anything, or create a decoder that allocates: here that fails the test."""

    def fail(*_):
        raise AssertionError("decoded")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("PIL.Image.Image.load", fail)
        patch.setattr("PIL.ImageFile.ImageFile.load", fail)
        patch.setattr("PIL._webp.WebPAnimDecoder", fail)
        return check(data, name, size)


def refused(data, name="image.png", size=None):
    header, problems = check_without_decoding(data, name, size)
    assert header is None
    assert {problem.field for problem in problems} == {"image"}
    return [(problem.code, problem.message) for problem in problems]


def accepted(data, name="image.png"):
    header, problems = check_without_decoding(data, name)
    assert problems == []
    return header


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("name", ["image.png", "photo.JPG", "x.jpeg", "a.b.webp", "C:\\my.exe\\x.bmp", "blob", "image.", ""])
def test_the_bytes_alone_decide_the_format(format, name):
    assert accepted(file_bytes(photo(), format), name) == ImageHeader(format, 64, 48, 1)


@pytest.mark.parametrize(
    ("name", "extension"),
    [("virus.exe", ".exe"), ("X.GIF", ".gif"), ("a.png.svg", ".svg"), ("a.png .txt", ".txt"), ("x.jpg2", ".jpg2")],
)
def test_an_extension_that_is_not_allowed(name, extension):
    message = f"File type '{extension}' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg"
    assert refused(file_bytes(photo()), name) == [("unsupported_file_type", message)]
    assert refused(b"", name) == [("unsupported_file_type", message)]


def test_a_long_extension_is_cut():
    assert len(refused(b"", "x." + "y" * 1000)[0][1]) < 200


def test_an_empty_file():
    assert refused(b"") == [("empty_file", "Uploaded file is empty (0 bytes).")]


def test_a_file_over_the_limit_is_judged_by_its_real_size():
    message = "File size (55.2 MB) exceeds the maximum allowed size of 50 MB."
    assert refused(b"the rest was thrown away", size=int(55.2 * 1024**2)) == [("file_too_large", message)]
    assert refused(b"nothing", size=MAX_BYTES + 1)[0][0] == "file_too_large"
    assert refused(b"nothing", size=MAX_BYTES) == [("invalid_image", INVALID)]


@pytest.mark.parametrize(
    "data",
    [
        b"not an image at all, but a few words of text",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"BM",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(40),
        b"RIFF\x00\x00\x00\x00WEBPXXXX" + bytes(40),
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        file_bytes(photo(), "GIF"),
        file_bytes(photo(), "TIFF"),
        file_bytes(photo(), "ICO"),
        file_bytes(photo(), "PPM"),
        bytes(1),
    ],
)
def test_bytes_that_are_no_allowed_format(data):
    assert refused(data) == [("invalid_image", INVALID)]


TOO_WIDE = ("image_too_wide", "Image width (12000px) exceeds the maximum allowed width of 10000px.")
TOO_TALL = ("image_too_tall", "Image height (15000px) exceeds the maximum allowed height of 10000px.")


def webp_header(kind, width, height):
    """The first bytes of a WebP file of any size; an allowance may depend on nothing else."""
    if kind == "VP8X":
        frame = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == "VP8L":
        frame = b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(4, "little") + bytes(5)
    else:
        frame = b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + struct.pack("<I", 1000) + b"WEBP" + kind.ljust(4).encode() + struct.pack("<I", 900) + frame


def jpeg_header(width, height):
    data = bytearray(file_bytes(photo(), "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


HEADERS = {
    "png": lambda width, height: png(width, height, 8, 2, []),
    "jpeg": jpeg_header,
    "bmp": lambda width, height: bmp(width, height, 24, []) + bytes(100),
    "VP8": lambda width, height: webp_header("VP8", width, height),
    "VP8L": lambda width, height: webp_header("VP8L", width, height),
    "VP8X": lambda width, height: webp_header("VP8X", width, height),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_an_image_too_wide_or_too_tall_is_refused_before_it_is_decoded(kind):
    make = HEADERS[kind]
    assert refused(make(12_000, 100)) == [TOO_WIDE]
    assert refused(make(100, 15_000)) == [TOO_TALL]
    assert refused(make(12_000, 15_000)) == [TOO_WIDE, TOO_TALL]
    assert refused(make(10_001, 10_000))[0][0] == "image_too_wide"
    assert accepted(make(10_000, 10_000)).upright_size == (10_000, 10_000)


def test_a_bomb_is_refused_for_its_size():
    bomb = png(30_000, 30_000, 8, 2, [bytes(90_000)] * 100)
    assert len(bomb) < 10_000
    assert [code for code, _ in refused(bomb)] == ["image_too_wide", "image_too_tall"]
    # The decoder of a WebP would allocate two canvases of 16384 x 16384 on opening.
    assert [code for code, _ in refused(webp_header("VP8X", 16_384, 16_384))] == ["image_too_wide", "image_too_tall"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_the_orientation_is_read_without_decoding(format, orientation, order):
    header = accepted(file_bytes(photo(), format, exif=exif(orientation, order)))
    assert header.orientation == orientation
    assert header.upright_size == ((48, 64) if orientation >= 5 else (64, 48))


def test_the_orientation_may_stand_behind_the_pixels_of_a_png():
    data = file_bytes(photo())
    end = data.index(b"IEND") - 4
    assert accepted(data[:end] + png_chunk(b"eXIf", exif(6)[6:]) + data[end:]).orientation == 6


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns about the broken block while reading a JPEG
@pytest.mark.parametrize(
    "block",
    [
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00",
        b"Exif\x00\x00garbage that is no TIFF header",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff\xff\xff",
        exif(6)[:20],
        exif(0),
        exif(9),
        b"",
    ],
)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_broken_exif_is_as_good_as_none(format, block):
    assert accepted(file_bytes(photo(), format, exif=block)).orientation == 1


def test_an_image_of_many_frames_from_a_phone_is_a_jpeg():
    data = file_bytes(photo(), "MPO", save_all=True, append_images=[photo(seed=1)])
    assert accepted(data, "IMG_1.jpg") == ImageHeader("JPEG", 64, 48, 1)


def test_it_reads_from_the_start_wherever_the_file_stands():
    data = file_bytes(photo(), "WEBP", exif=exif(3))
    file = io.BytesIO(data)
    file.seek(17)
    header, _ = check_image(file, name="x.webp", size=len(data))
    assert header == ImageHeader("WEBP", 64, 48, 3)


def test_a_png_with_one_packed_profile_after_another():
    """A few kB each in the file, 8 MB each unpacked, thousands of them in 50 MB: minutes of work if all were unpacked."""
    profile = png_chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(4 * 1024 * 1024)))
    plain = file_bytes(Image.new("RGB", (4, 4)), "PNG")
    header, rest = plain[:33], plain[33:]
    assert accepted(header + profile * 500 + rest)
    assert refused(header + profile * 2500 + rest) == [("invalid_image", INVALID)]
    assert refused(header + png_chunk(b"tEXt", b"a\0b") * 100_100 + rest) == [("invalid_image", INVALID)]
