"""JPEG files that are truncated, or have odd data before their pixels, as browsers and phones show them."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import ImageCms

from imaging.core.codecs import decode as decoding
from imaging.core.codecs.decode import decode
from imaging.core.codecs.headers import read_header, walk_through
from imaging.core.codecs.jpeg import MAX_SCANS
from imaging.core.problems import ImageRefused
from tests.imaging.core import hostile
from tests.imaging.core.hostile import scan, segment
from tests.imaging.core.pictures import check, decoded, exif, file_bytes, photo

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ICC = b"ICC_PROFILE\0"
END = b"\xff\xd9"


def pixels(data):
    return np.asarray(decoded(data).pixels, int)


def refusal_of(data):
    """The code of the refusal, on reading the header or on decoding."""
    with pytest.raises(ImageRefused) as refusal:
        decode(io.BytesIO(data), read_header(io.BytesIO(data)))
    return refusal.value.problems[0].code


SETTINGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "full colour": {"subsampling": 0},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
    "restarts": {"restart_marker_blocks": 3},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "progressive grey": {"progressive": True, "mode": "L"},
}
FILES = {
    name: file_bytes(photo((160, 120), settings.pop("mode", "RGB")), "JPEG", quality=80, **settings)
    for name, settings in SETTINGS.items()
}
ENDS = {
    "nothing": b"",
    "half": b"\xff",
    "the other half": b"\xd9",
    "zeros": bytes(2),
    "many zeros": bytes(64),
    "a stuffed byte": b"\xff\0",
    "fill bytes": b"\xff" * 10,
    "text": b"hello world" * 9,
    "a restart": b"\xff\xd3",
    "another image": b"\xff\xd8\xff\xe0\0\x10JFIF",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", FILES)
def test_a_file_without_an_end_that_has_every_row(kind, end):
    data = FILES[kind]
    assert data.endswith(END)
    # A bare D9 behind the last byte may be its continuation, for a bit or two of a progressive image.
    tolerance = 40 if "progressive" in kind else 0
    difference = np.abs(pixels(data[:-2] + ENDS[end]) - pixels(data))
    assert difference[:104].max() == 0
    assert difference[:, :128].max() == 0
    assert difference.max() <= tolerance


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_lacks_its_last_bytes(kind, missing):
    difference = np.abs(pixels(FILES[kind][: -2 - missing]) - pixels(FILES[kind]))
    assert difference[:108].max() == 0
    assert difference[:, :126].max() == 0


@pytest.mark.parametrize("part", [0.02, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("end", [b"", b"\xff", b"\xff\xd8\xff\xe0\0\x10JFIF"])
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_lacks_rows_is_refused(kind, part, end):
    data = FILES[kind]
    start = data.index(b"\xff\xda") + 14
    cut = data[: start + int((len(data) - start) * part)].removesuffix(b"\xff")
    assert refusal_of(cut + end) == "invalid_image"


def test_a_file_that_lacks_half_a_row_of_blocks_is_refused():
    data = FILES["baseline"]
    start = data.index(b"\xff\xda") + 14
    # Eight rows of ten blocks.
    assert refusal_of(data[: len(data) - (len(data) - start) // 14]) == "invalid_image"


def test_an_image_of_one_block_that_is_cut_is_refused():
    data = file_bytes(photo((8, 8)), "JPEG", quality=95)
    assert pixels(data[:-2]).shape == (8, 8, 3)
    assert refusal_of(data[:-40]) == "invalid_image"


def test_a_progressive_file_that_lacks_whole_scans_is_refused():
    data = FILES["progressive"]
    starts = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    assert len(starts) == 10
    for start in starts[1:]:
        assert [problem.code for problem in check(data[:start])[1]] == ["invalid_image"]
    # With an end marker it is what the writer meant.
    assert pixels(data[: starts[5]] + END).shape == (120, 160, 3)


def test_scans_of_single_colours_without_an_end():
    scans = [scan(layer) + bytes(16) for layer in (1, 2, 3)]

    def of(count):
        return hostile.jpeg(width=64, height=64, layers=3, body=b"".join(scans[:count])).removesuffix(END)

    assert pixels(of(3)).shape == (64, 64, 3)
    assert [problem.code for problem in check(of(2))[1]] == ["invalid_image"]


def test_a_file_without_an_end_is_decoded_apart_by_twice_the_estimate(monkeypatch):
    seconds = walk_through(FILES["baseline"]).seconds
    assert walk_through(FILES["baseline"][:-2]).seconds == pytest.approx(2 * seconds, rel=0.01)
    monkeypatch.setattr(decoding, "APART_SECONDS", 0)
    assert (pixels(FILES["baseline"][:-2]) == pixels(FILES["baseline"])).all()
    assert refusal_of(FILES["baseline"][:-1500]) == "invalid_image"


def test_scans_of_a_file_without_an_end_are_counted():
    data = hostile.progressive(64, 64, MAX_SCANS + 1).removesuffix(END)
    assert [problem.code for problem in check(data)[1]] == ["image_too_complex"]


BARE = FILES["baseline"]
ODD = {
    "JFIF, 4 bytes": segment(0xE0, b"JFIF"),
    "JFIF, 5 bytes": segment(0xE0, b"JFIF\0"),
    "JFIF, 13 bytes": segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0"),
    "an empty APP0": segment(0xE0),
    "JFXX": segment(0xE0, b"JFXX\0"),
    "Adobe, 5 bytes": segment(0xEE, b"Adobe"),
    "Adobe, 6 bytes": segment(0xEE, b"Adobe\0"),
    "Adobe, 11 bytes": segment(0xEE, b"Adobe\0d\0\0\0\0"),
    "profile, 12 bytes": segment(0xE2, ICC),
    "profile, 13 bytes": segment(0xE2, ICC + b"\1"),
    "profile, 14 bytes": segment(0xE2, ICC + b"\1\1"),
    "EXIF, 4 bytes": segment(0xE1, b"Exif"),
    "EXIF, 6 bytes": segment(0xE1, b"Exif\0\0"),
    "EXIF, 8 bytes": segment(0xE1, b"Exif\0\0II"),
    "EXIF, cut off": segment(0xE1, exif(6)[:30]),
    "several images": segment(0xE2, b"MPF\0"),
    "Photoshop": segment(0xED, b"Photoshop 3.0\0"),
    "TEM": b"\xff\x01",
    "a restart": b"\xff\xd3",
    "fill bytes": b"\xff\xff\xff",
    "no length": b"\xff\xe5\0\0",
    "half a length": b"\xff\xfe\0\1",
    "a comment of nothing": b"\xff\xfe\0\2",
}


@pytest.mark.parametrize("kind", ODD)
def test_what_stands_before_the_pixels_and_is_not_needed(kind):
    data = BARE[:2] + ODD[kind] + BARE[2:]
    assert (pixels(data) == pixels(BARE)).all()
    # The segment that the encoder wrote is removed: this is the only one.
    assert (pixels(BARE[:2] + ODD[kind] + BARE[20:]) == pixels(BARE)).all()


@pytest.mark.parametrize("marker", [b"\xff\x01", b"\xff\xd3", b"\xff\xd8", b"\xff\xff\xff", bytes(50)])
def test_markers_without_a_length_behind_the_pixels(marker):
    assert (pixels(BARE[:-2] + marker + END) == pixels(BARE)).all()


def test_markers_without_a_length_between_scans():
    data = FILES["progressive"]
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    for marker in (b"\xff\x01", b"\xff\xd1"):
        assert (pixels(data[:second] + marker + data[second:]) == pixels(data)).all()


@pytest.mark.parametrize("marker", [b"\xff\xd8", b"\xff\xd9", segment(0x02, b"ab"), segment(0xF0, b"ab")])
def test_markers_that_browsers_refuse_too(marker):
    assert [problem.code for problem in check(BARE[:2] + marker + BARE[2:])[1]] == ["invalid_image"]


def test_a_short_segment_does_not_hide_the_one_that_counts():
    profile = segment(0xE2, ICC + b"\1\1" + PROFILE)
    for data in (segment(0xE2, ICC) + profile, profile + segment(0xE2, ICC + b"\1"), profile * 2):
        assert decoded(BARE[:2] + data + BARE[2:]).icc_profile == PROFILE
    two = segment(0xE2, ICC + b"\2\2" + PROFILE[200:]) + segment(0xE2, ICC + b"\1\2" + PROFILE[:200])
    assert decoded(BARE[:2] + two + BARE[2:]).icc_profile == PROFILE
    turned = BARE[:2] + segment(0xE1, b"Exif\0\0") + segment(0xE1, exif(6)) + BARE[2:]
    assert decoded(turned).pixels.size == (120, 160)


@pytest.mark.parametrize("is_ycck", [False, True])
def test_cmyk_drops_a_profile_for_rgb(is_ycck):
    """Its colours are those without a profile, as in browsers."""
    plain = file_bytes(photo((160, 120), "CMYK"), "JPEG", quality=90)
    data = file_bytes(photo((160, 120), "CMYK"), "JPEG", quality=90, icc_profile=PROFILE)
    if is_ycck:
        plain, data = (one[: (at := one.index(b"Adobe") + 11)] + b"\2" + one[at + 1 :] for one in (plain, data))
    result = decoded(data)
    assert result.icc_profile is None
    assert (np.asarray(result.pixels) == np.asarray(decoded(plain).pixels)).all()
