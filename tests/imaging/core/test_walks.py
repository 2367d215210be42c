"""What a hostile file costs before and during decoding: next to nothing, or a refusal.

Times are CPU times.
"""

import gc
import io
import re
import tempfile
import time
import zlib
from typing import BinaryIO, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imaging.core.codecs import bmp, jpeg, walk
from imaging.core.codecs.checks import ImageHeader
from imaging.core.codecs.decode import APART_SECONDS, decode
from imaging.core.codecs.headers import read_header, walk_through
from imaging.core.problems import ImageRefused
from tests.examples import examples
from tests.imaging.core import hostile
from tests.imaging.core.hostile import MEBIBYTE, animation, progressive, run_length_bmp, scan, segment
from tests.imaging.core.pictures import check, decoded, exif, file_bytes, photo, png_chunk

# What the files below took before the walks existed: 0.5 to 6 s.
QUICK_SECONDS = 0.3


@pytest.fixture
def quickly():
    """Fails the test if its own work takes long, on a busy machine and in a process with a large heap too."""
    gc.disable()
    started = time.thread_time()
    yield
    seconds = time.thread_time() - started
    gc.enable()
    assert seconds < QUICK_SECONDS


def codes(data: bytes) -> list[str]:
    return [problem.code for problem in check(data)[1]]


def segments(count_bytes: int, one: bytes) -> bytes:
    return hostile.jpeg(one * (count_bytes // len(one)))


SEGMENTS = {
    "exif": segment(0xE1, b"Exif\0\0" + b"A" * 10),
    "exif of another order": segment(0xE1, b"Exif\0\0MM\0*"),
    "xmp": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
    "icc": segment(0xE2, b"ICC_PROFILE\0\1\1"),
    "flashpix": segment(0xE2, b"FPXR\0"),
    "several images": segment(0xE2, b"MPF\0MM\0*"),
    "adobe": segment(0xEE, b"Adobe" + bytes(7)),
    "comment": segment(0xFE),
    "restart interval": segment(0xDD, b"\0\1"),
    "arithmetic conditioning": segment(0xCC, b"\0\1"),
    "restarts": b"\xff\xd0",
    "temporary": b"\xff\x01",
}


@pytest.fixture(scope="module", params=SEGMENTS)
def many_segments(request):
    return segments(3 * MEBIBYTE, SEGMENTS[request.param])


def test_many_segments_are_refused_at_once(many_segments, quickly):
    assert codes(many_segments) == ["image_too_complex"]


NO_IMAGES = {
    "zeros": b"\xff\xd8\xff\xfe\x00\x02" + bytes(20 * MEBIBYTE),
    "fill bytes": b"\xff\xd8" + b"\xff" * (20 * MEBIBYTE),
    "stuffed bytes": b"\xff\xd8\xff\xd0" + b"\xff\x00" * (10 * MEBIBYTE),
    "starts": b"\xff\xd8" * (10 * MEBIBYTE),
    "quantisation tables": segments(10 * MEBIBYTE, segment(0xDB, hostile.QUANTISATION * 1000)),
    "huffman tables": segments(10 * MEBIBYTE, segment(0xC4, hostile.HUFFMAN_DC * 3000)),
    "frames": segments(1000, hostile.frame(0xC0, 8, 8)),
    "a height that comes later": hostile.jpeg(height=0, body=scan(1) + bytes(9) + segment(0xDC, b"\0\x64")),
    "a hierarchy": hostile.jpeg(segment(0xDE, hostile.frame(0xC0, 8, 8)[4:])),
    "an end before the scan": hostile.jpeg(b"\xff\xd9"),
    "a segment beyond the end": b"\xff\xd8\xff\xe0\xff\xff" + bytes(100),
}


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_what_is_no_jpeg_is_refused_at_once(kind, quickly):
    assert codes(NO_IMAGES[kind]) == ["invalid_image"]


@pytest.mark.parametrize(("marker", "prefix"), [(0xE1, b"Exif\0\0"), (0xED, b"Photoshop 3.0\0"), (0xEB, b"JP"), (0xFE, b"")])
def test_large_metadata_costs_nothing_and_is_not_refused(marker, prefix, quickly):
    """As much as fits: data from cameras, editors and archives comes in segments of up to 64 kB."""
    data = hostile.jpeg(segment(marker, prefix + bytes(65_000)) * 300)
    assert codes(data) == []
    decode(io.BytesIO(data), read_header(io.BytesIO(data)))


def test_the_orientation_of_exif_in_two_segments():
    block = exif(6)[6:]
    split = segment(0xE1, b"Exif\0\0" + block[:20]) + segment(0xE1, b"Exif\0\0" + block[20:])
    assert check(hostile.jpeg(split))[0] == ImageHeader("JPEG", 8, 8, 6)


def test_scans_are_counted():
    assert codes(progressive(64, 64, jpeg.MAX_SCANS - 2)) == []
    data = progressive(64, 64, jpeg.MAX_SCANS - 1)
    header, problems = check(data)
    assert header is None
    assert [(problem.code, problem.message) for problem in problems] == [
        ("image_too_complex", "This JPEG has more than 100 scans. Save it as a baseline JPEG and try again.")
    ]


def test_scans_of_a_large_image_are_counted_with_its_pixels(quickly):
    assert codes(progressive(10_000, 10_000, 38)) == []
    assert codes(progressive(10_000, 10_000, 98)) == ["image_too_complex"]
    assert codes(progressive(10_000, 10_000, 9_000)) == ["image_too_complex"]


def test_scans_of_single_components_are_counted():
    def several(times: int) -> bytes:
        return hostile.jpeg(width=10_000, height=10_000, layers=3, body=(scan(1) + scan(2) + scan(3)) * times)

    assert codes(several(1)) == []
    assert codes(several(20)) == ["image_too_complex"]


def test_scans_with_arithmetic_coding_count_for_more():
    assert codes(hostile.jpeg(width=10_000, height=10_000, marker=0xC2, body=scan(1) * 20)) == []
    assert codes(hostile.jpeg(width=10_000, height=10_000, marker=0xCA, body=scan(1) * 20)) == ["image_too_complex"]


@pytest.mark.parametrize("between", [segment(0xFE) * 2000, b"\xff\x01" * 2000])
def test_segments_between_scans_are_counted(between):
    data = progressive(64, 64, 2)
    assert codes(data[:-2] + between + data[-2:]) == ["image_too_complex"]


def test_what_encoders_write_is_no_hostile_file():
    for size in ((64, 48), (1000, 700)):
        for options in ({"progressive": True}, {"progressive": True, "subsampling": 0}, {"optimize": True}):
            assert codes(file_bytes(photo(size), "JPEG", **options)) == []
    assert walk_through(file_bytes(photo().resize((4000, 3000)), "JPEG", progressive=True)).seconds < 1


def test_a_large_profile_that_is_applied_sends_an_image_to_a_process_of_its_own():
    def seconds(mode: str, size: int) -> float:
        return walk_through(file_bytes(photo().convert(mode), "JPEG", icc_profile=bytes(size))).seconds

    assert seconds("CMYK", 100_000) > APART_SECONDS
    assert seconds("CMYK", 1000) < APART_SECONDS
    assert seconds("RGB", 100_000) < APART_SECONDS


def test_fill_bytes_within_a_scan_are_not_read_again_and_again():
    """libjpeg waits for their end, and meanwhile Pillow joined block to block."""
    data = hostile.jpeg(width=64, height=64, body=scan(1) + bytes(2) + b"\xff" * (24 * MEBIBYTE))
    header = read_header(io.BytesIO(data))
    started = time.process_time()
    decode(io.BytesIO(data), header)
    assert time.process_time() - started < 1.5


def test_what_stands_behind_the_image_of_a_phone_is_not_read(quickly):
    """The second image, or a video."""
    data = file_bytes(photo(), "JPEG", quality=95, subsampling=0) + bytes(5 * MEBIBYTE) + b"\xff\xd8\xff\xe1" * MEBIBYTE
    assert np.abs(np.asarray(decoded(data).pixels, int) - np.asarray(photo(), int)).mean() < 5


TEXTS = {
    "before the data, packed": {"before": png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(7 * MEBIBYTE))) * 9},
    "behind the data, packed": {"after": png_chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(7 * MEBIBYTE))) * 60},
    "frames": {"after": b"".join(png_chunk(b"fcTL", bytes(26)) + png_chunk(b"fdAT", bytes(9)) for _ in range(4000))},
    "suggested palette": {"before": png_chunk(b"sPLT", b"a\0\x08" + bytes(20 * MEBIBYTE))},
}


@pytest.mark.parametrize("kind", TEXTS)
def test_chunks_of_a_png_that_make_no_pixels_are_not_unpacked(kind, quickly):
    data = hostile.png(**TEXTS[kind])
    header = read_header(io.BytesIO(data))
    assert decode(io.BytesIO(data), header).pixels.size == (8, 8)


def test_many_chunks_of_a_png_are_refused_at_once(quickly):
    assert codes(hostile.png(before=png_chunk(b"tEXt", b"a\0b") * 3000)) == ["invalid_image"]
    assert codes(hostile.png(data=png_chunk(b"IDAT", b"") * 51_000)) == ["invalid_image"]


def test_a_png_whose_data_comes_in_many_chunks():
    packed = zlib.compress((b"\0" + bytes(range(96)) * 2) * 64)
    finely = b"".join(png_chunk(b"IDAT", packed[at : at + 1]) for at in range(len(packed)))
    result = decoded(hostile.png(64, 64, data=finely)).pixels
    assert result.getpixel((1, 0)) == (3, 4, 5)


def test_only_the_first_frame_of_a_webp_costs(quickly):
    data = animation(3000, offset=(8, 4))
    result = decode(io.BytesIO(data), read_header(io.BytesIO(data))).pixels
    with Image.open(io.BytesIO(animation(2, offset=(8, 4)))) as expected:
        assert (np.asarray(result) == np.asarray(expected.convert("RGBA"))).all()
    assert result.getpixel((8, 4)) == (255, 0, 0, 255)
    assert result.getpixel((7, 4)) == (0, 0, 0, 0)


def test_a_webp_of_many_chunks(quickly):
    data = file_bytes(photo(), "WEBP", exif=exif(6))
    assert check(data + b"ABCD\0\0\0\0" * MEBIBYTE)[0] == ImageHeader("WEBP", 64, 48, 6)


def test_a_run_length_encoded_bmp_is_decoded_run_by_run():
    rows = run_length_bmp(5000, 5000, b"\x01\x07\x00\x00" * 5000 + b"\0\1")
    started = time.process_time()
    pixels = decoded(rows).pixels
    assert time.process_time() - started < 1
    assert pixels.getpixel((0, 17)) == (248, 3, 7)
    assert pixels.getpixel((1, 17)) == (0, 0, 0)  # the omitted pixel


@pytest.mark.parametrize(
    ("runs", "nibbles", "expected"),
    [
        (b"\5\1\0\0\5\2\0\1", False, [[2, 2, 2, 2, 2], [1, 1, 1, 1, 1]]),
        (b"\5\1\5\2\0\0\3\2\2\3\0\1", False, [[2, 2, 2, 3, 3], [1, 1, 1, 1, 1]]),  # a run beyond the row
        (b"\0\3\1\2\3\0\2\4\0\0\5\0\0\1", False, [[0, 0, 0, 0, 0], [1, 2, 3, 4, 4]]),  # literals, padded
        (b"\5\1\0\0\5\2", False, [[2, 2, 2, 2, 2], [1, 1, 1, 1, 1]]),  # no end
        (b"\5\x12\0\0\0\5\x34\x56\x70\0\0\1", True, [[3, 4, 5, 6, 7], [1, 2, 1, 2, 1]]),
    ],
)
def test_run_length_encodings(runs, nibbles, expected):
    pixels = np.asarray(decoded(run_length_bmp(5, 2, runs, nibbles=nibbles)).pixels)
    assert pixels[..., 0].tolist() == [[255 - index for index in row] for row in expected]
    assert pixels[..., 2].tolist() == expected


def test_run_length_encodings_of_too_many_pieces_are_refused(monkeypatch):
    monkeypatch.setattr(bmp, "MAX_CODES", 1000)
    data = run_length_bmp(1, 2000, b"\0\0" * 1500)
    with pytest.raises(ImageRefused, match="run-length encoded in more than 2,000,000 pieces") as refusal:
        decode(io.BytesIO(data), read_header(io.BytesIO(data)))
    assert refusal.value.problems[0].code == "image_too_complex"


@pytest.mark.parametrize("change", [(14, 0xFFFFFFF0), (14, 41), (30, 4), (30, 5), (30, 2), (30, 3)])
def test_headers_of_a_bmp_that_make_no_image(change):
    place, value = change
    data = bytearray(run_length_bmp(5, 2, b"\0\1"))
    data[place : place + 4] = value.to_bytes(4, "little")
    assert codes(bytes(data)) == ["invalid_image"]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP"])
def test_no_library_sees_a_file_for_its_header(format, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    assert check(file_bytes(photo(), format))[0] == ImageHeader(format, 64, 48, 1)


def test_a_large_upload_is_mapped_and_not_read(monkeypatch):
    with tempfile.SpooledTemporaryFile(1000) as file:
        file.write(file_bytes(photo(), "PNG") + bytes(2 * MEBIBYTE))
        monkeypatch.setattr(file, "read", lambda *_: pytest.fail("read"))
        assert read_header(cast(BinaryIO, file)).width == 64
        assert decode(cast(BinaryIO, file), ImageHeader("PNG", 64, 48, 1)).pixels.size == (64, 48)


@examples(100)
@given(
    parts=st.lists(st.binary(max_size=20) | st.tuples(st.integers(0, 99), st.integers(0, 99)).map(sorted).map(tuple)),
    reads=st.lists(st.tuples(st.integers(-1, 120), st.integers(0, 300) | st.none())),
)
def test_parts_of_a_file_read_like_a_file(parts, reads):
    data = bytes(range(100))
    expected = io.BytesIO(b"".join(part if isinstance(part, bytes) else data[slice(*part)] for part in parts))
    actual = walk.PartsFile(data, tuple(parts), lambda: None)
    for size, place in reads:
        if place is not None:
            assert actual.seek(place) == expected.seek(place)
        assert actual.read(size) == expected.read(size)
        assert actual.tell() == expected.tell()


def test_the_messages_say_what_helps():
    for problem in (jpeg.TOO_MANY_SCANS, jpeg.TOO_MANY_SCANS_FOR_ITS_SIZE, jpeg.TOO_MANY_SEGMENTS, bmp.TOO_MANY_CODES):
        assert re.search(r"Save it .* and try again\.$", problem.message)
