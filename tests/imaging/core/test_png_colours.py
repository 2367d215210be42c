"""The colours of a PNG, from any of its chunks: the delivered image looks as the file does in a browser."""

import io
import struct
import warnings
import zlib
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from imaging.core.codecs.encode import encode
from imaging.core.codecs.hdr import BT709, BT2020, HdrCoding
from imaging.core.codecs.icc import make_profile
from imaging.core.codecs.png_colours import MAX_PROFILE_BYTES, find_colours, unpacked_profile
from tests.imaging.core import hostile
from tests.imaging.core.pictures import decoded, png, png_chunk

SAMPLES = [
    [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [128, 64, 32], [200, 100, 50], [30, 60, 90], [128, 128, 128],
]  # fmt: skip
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_POINTS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
P3 = cast(bytes, make_profile(tuple(value / 100_000 for value in P3_POINTS), (2.2,), "P3"))


def gama(value):
    return png_chunk(b"gAMA", struct.pack(">I", value))


def chrm(*values):
    return png_chunk(b"cHRM", struct.pack(">8I", *values))


def cicp(*values):
    return png_chunk(b"cICP", bytes(values))


def clli(light):
    return png_chunk(b"cLLI", struct.pack(">II", light * 10_000, 0))


def mdcv(light):
    return png_chunk(b"mDCV", bytes(16) + struct.pack(">II", light * 10_000, 50))


def iccp(profile, name=b"x", method=0):
    return png_chunk(b"iCCP", name + bytes((0, method)) + zlib.compress(profile))


def broken_sum(chunk):
    return chunk[:-1] + bytes((chunk[-1] ^ 1,))


def file(chunks=b"", after=b""):
    rows = np.array([SAMPLES], np.uint8)
    return hostile.png(len(SAMPLES), 1, chunks, after, png_chunk(b"IDAT", zlib.compress(b"\0" + rows.tobytes())))


def seen(image, profile):
    """The pixels as displayed: in sRGB."""
    if profile is None:
        return np.asarray(image.convert("RGB"))
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    return np.asarray(ImageCms.profileToProfile(image.convert("RGB"), source, target, renderingIntent=intent))


def assert_seen(data, expected, tolerance=1):
    result = decoded(data)
    actual = seen(result.pixels, result.icc_profile).reshape(-1, 3)
    assert np.abs(actual.astype(int) - expected).max() <= tolerance


# What Chromium 156 draws on an sRGB canvas.
BROWSER = {
    "gamma 1": (
        gama(100000),
        [
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
            [255, 255, 255],
            [188, 137, 99],
            [229, 168, 122],
            [96, 133, 160],
            [188, 188, 188],
        ],
    ),
    "gamma 1/1.8": (
        gama(55556),
        [
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
            [255, 255, 255],
            [146, 81, 43],
            [210, 119, 65],
            [40, 77, 109],
            [146, 146, 146],
        ],
    ),
    "gamma 1/2.2 with primaries of sRGB": (
        gama(45455) + chrm(*SRGB_POINTS),
        [
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
            [255, 255, 255],
            [129, 62, 26],
            [201, 100, 46],
            [24, 57, 90],
            [129, 129, 129],
        ],
    ),
    "gamma 1/2.2 with primaries of P3": (
        chrm(*P3_POINTS) + gama(45455),
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [139, 57, 11], [216, 93, 24], [6, 58, 92], [129, 129, 129]],
    ),
    "BT.2020": (
        cicp(9, 14, 0, 1),
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [148, 35, 2], [239, 63, 5], [0, 52, 84], [121, 121, 121]],
    ),
    "Display P3": (
        cicp(12, 13, 0, 1),
        [
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
            [255, 255, 255],
            [138, 59, 21],
            [215, 93, 31],
            [17, 61, 93],
            [128, 128, 128],
        ],
    ),
    "BT.470 M": (
        cicp(4, 4, 0, 1),
        [
            [255, 0, 0],
            [0, 250, 0],
            [0, 75, 255],
            [255, 255, 255],
            [150, 57, 10],
            [233, 93, 22],
            [0, 61, 92],
            [129, 129, 129],
        ],
    ),
    "BT.470 BG": (
        cicp(5, 5, 0, 1),
        [
            [255, 0, 0],
            [0, 255, 28],
            [0, 0, 254],
            [255, 255, 255],
            [108, 40, 11],
            [192, 76, 27],
            [6, 36, 66],
            [106, 106, 106],
        ],
    ),
    "SMPTE 240M": (
        cicp(7, 7, 0, 1),
        [
            [248, 36, 0],
            [63, 251, 0],
            [26, 35, 255],
            [255, 255, 255],
            [138, 82, 50],
            [202, 117, 67],
            [51, 78, 106],
            [141, 141, 141],
        ],
    ),
    "film, linear": (
        cicp(8, 8, 0, 1),
        [
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
            [255, 255, 255],
            [202, 135, 93],
            [246, 165, 115],
            [78, 134, 163],
            [188, 188, 188],
        ],
    ),
    "XYZ, SMPTE 428": (
        cicp(10, 17, 0, 1),
        [[255, 0, 75], [0, 255, 0], [0, 59, 255], [255, 255, 255], [191, 0, 27], [255, 0, 52], [0, 62, 79], [118, 118, 118]],
    ),
    "DCI P3, SMPTE 428": (
        cicp(11, 17, 0, 1),
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [125, 43, 0], [212, 78, 0], [2, 45, 79], [118, 118, 118]],
    ),
    "EBU": (
        cicp(22, 13, 0, 1),
        [
            [255, 38, 0],
            [0, 249, 0],
            [4, 51, 255],
            [255, 255, 255],
            [129, 65, 31],
            [202, 102, 49],
            [29, 61, 90],
            [128, 128, 128],
        ],
    ),
    "PQ": (
        cicp(9, 16, 0, 1),
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [165, 0, 0], [255, 0, 0], [0, 27, 64], [132, 132, 132]],
    ),
    "PQ with the primaries of sRGB": (
        cicp(1, 16, 0, 1),
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [132, 30, 5], [255, 51, 8], [4, 26, 61], [132, 132, 132]],
    ),
    "PQ up to 400 cd/m²": (
        cicp(12, 16, 0, 1) + clli(400) + mdcv(4000),
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [178, 17, 0], [255, 0, 0], [0, 35, 80], [163, 163, 163]],
    ),
    "PQ mastered for 4000 cd/m²": (
        cicp(9, 16, 0, 1) + mdcv(4000),
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [165, 0, 0], [255, 0, 0], [0, 27, 64], [132, 132, 132]],
    ),
    "PQ that is no brighter than white": (
        clli(200) + cicp(9, 16, 0, 1),
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [225, 0, 0], [255, 0, 0], [0, 41, 90], [181, 181, 181]],
    ),
    "HLG": (
        cicp(9, 18, 0, 1),
        [[255, 0, 0], [0, 255, 0], [0, 0, 249], [255, 255, 255], [112, 35, 9], [230, 48, 17], [0, 40, 62], [99, 99, 99]],
    ),
    "HLG with the primaries of P3": (
        cicp(12, 18, 0, 1),
        [[255, 0, 0], [0, 255, 0], [0, 0, 250], [255, 255, 255], [98, 42, 10], [202, 71, 18], [5, 40, 62], [99, 99, 99]],
    ),
}


@pytest.mark.parametrize("kind", BROWSER)
def test_colours_as_a_browser_shows_them(kind):
    assert_seen(file(BROWSER[kind][0]), BROWSER[kind][1])


@pytest.mark.parametrize("kind", ["PQ", "gamma 1"])
def test_colours_of_an_image_that_is_decoded_in_a_process_of_its_own(kind, monkeypatch):
    monkeypatch.setattr("imaging.core.codecs.decode.APART_SECONDS", -1.0)
    assert_seen(file(BROWSER[kind][0]), BROWSER[kind][1])


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_the_result_carries_them(format):
    result = decoded(file(gama(100000)))
    with Image.open(encode(result.pixels, format, result.icc_profile)) as delivered:
        assert delivered.info["icc_profile"] == result.icc_profile


@pytest.mark.parametrize("chunks", [
    b"",
    gama(45455), gama(45000), gama(47000),  # sRGB's own, as near as it is mostly written
    gama(0), gama(0) + chrm(*P3_POINTS), chrm(*P3_POINTS),
    gama(45455) + chrm(*[0] * 8), gama(100000) + chrm(*[2**32 - 1] * 8), gama(100000) + chrm(*P3_POINTS[:4] * 2),
    broken_sum(gama(100000)), png_chunk(b"gAMA", b"\0\1\x86\xa0\0"), png_chunk(b"gAMA", b"\0\1\x86"),
    broken_sum(cicp(9, 13, 0, 1)), cicp(9, 13, 0), cicp(9, 13, 0, 1, 0),
    cicp(2, 13, 0, 1), cicp(9, 2, 0, 1), cicp(9, 13, 1, 1), cicp(9, 16, 0, 0), cicp(9, 13, 0, 2), cicp(1, 13, 0, 1),
    broken_sum(iccp(P3)), iccp(P3, name=b""), iccp(P3, name=b"n" * 80), iccp(P3, method=7), iccp(bytes(500)),
    png_chunk(b"iCCP", b""), png_chunk(b"iCCP", b"x\0\0"), png_chunk(b"iCCP", b"x\0\0abc"), png_chunk(b"iCCP", b"x" * 200),
    clli(4000), mdcv(4000),
])  # fmt: skip
def test_what_says_nothing_changes_nothing(chunks):
    assert decoded(file(chunks)).icc_profile is None
    assert_seen(file(chunks), SAMPLES, tolerance=0)


@pytest.mark.parametrize("chunks", [gama(100000), chrm(*P3_POINTS) + gama(45455), cicp(9, 16, 0, 1), iccp(P3)])
def test_behind_the_pixels_it_is_ignored(chunks):
    assert decoded(file(after=chunks)).icc_profile is None
    assert_seen(file(after=chunks), SAMPLES, tolerance=0)


def test_which_chunk_counts():
    every = gama(100000) + chrm(*P3_POINTS) + png_chunk(b"sRGB", b"\0") + iccp(P3) + cicp(9, 14, 0, 1)
    assert_seen(file(every), BROWSER["BT.2020"][1])
    without_cicp = gama(100000) + png_chunk(b"sRGB", b"\0") + iccp(P3)
    assert decoded(file(without_cicp)).icc_profile == P3
    assert decoded(file(without_cicp + cicp(2, 2, 0, 1))).icc_profile == P3
    assert decoded(file(gama(100000) + png_chunk(b"sRGB", b"\0"))).icc_profile is None


@pytest.mark.parametrize("broken", [
    png_chunk(b"sRGB", b""), png_chunk(b"sRGB", b"\0\0"), png_chunk(b"sRGB", b"\x09"), broken_sum(png_chunk(b"sRGB", b"\0")),
    broken_sum(iccp(P3)), iccp(P3, method=1), iccp(bytes(500)), png_chunk(b"iCCP", b"x\0\0" + zlib.compress(P3)[:-20]),
    cicp(12, 13, 0), cicp(12, 13, 1, 1), broken_sum(cicp(12, 13, 0, 1)),
    broken_sum(gama(30000)), broken_sum(chrm(*P3_POINTS)),
])  # fmt: skip
def test_what_is_broken_leaves_the_word_to_the_next(broken):
    assert_seen(file(broken + gama(100000)), BROWSER["gamma 1"][1])


def test_the_first_valid_one_counts():
    assert_seen(file(gama(100000) + gama(45455)), BROWSER["gamma 1"][1])
    assert_seen(file(cicp(12, 13, 0, 1) + cicp(9, 13, 0, 1)), BROWSER["Display P3"][1])
    assert decoded(file(iccp(P3) + iccp(SRGB))).icc_profile == P3
    assert decoded(file(broken_sum(iccp(SRGB)) + iccp(P3))).icc_profile == P3


@pytest.mark.parametrize(("bits", "colour_type", "row"), [
    (8, 0, b"\x80\x20"), (16, 0, b"\x80\0\x20\0"), (8, 4, b"\x80\xff\x20\xff"),
    (8, 2, b"\x80\x80\x80\x20\x20\x20"), (16, 2, b"\x80\0" * 3 + b"\x20\0" * 3), (8, 6, b"\x80\x80\x80\xff\x20\x20\x20\xff"),
])  # fmt: skip
@pytest.mark.parametrize(("chunk", "expected"), [((b"gAMA", b"\0\1\x86\xa0"), 188), ((b"cICP", b"\x09\x10\0\1"), 132)])
def test_every_kind_of_pixel(bits, colour_type, row, chunk, expected):
    result = decoded(png(2, 1, bits, colour_type, [row], chunk))
    assert np.abs(seen(result.pixels, result.icc_profile)[0, 0].astype(int) - expected).max() <= 1


def test_a_palette_and_transparency():
    palette = bytes(sample for color in SAMPLES for sample in color)
    chunks = [(b"cICP", bytes((9, 16, 0, 1))), (b"PLTE", palette), (b"tRNS", bytes((200,)) * 8)]
    result = decoded(png(8, 1, 8, 3, [bytes(range(8))], *chunks)).pixels
    assert (np.asarray(result)[..., 3] == 200).all()
    assert np.abs(np.asarray(result)[0, :, :3].astype(int) - BROWSER["PQ"][1]).max() <= 1


def test_a_profile_with_anything_behind_it_is_cut_where_it_is_too_large():
    large = P3 + bytes(MAX_PROFILE_BYTES)
    assert decoded(file(iccp(large))).icc_profile == P3
    assert decoded(file(iccp(len(large).to_bytes(4, "big") + large[4:]))).icc_profile is None
    assert decoded(file(iccp(P3 + b"more"))).icc_profile == P3 + b"more"


def test_a_made_profile_is_small_and_always_the_same():
    profile = decoded(file(gama(100000))).icc_profile
    assert len(profile) < 600
    assert len(profile) == int.from_bytes(profile[:4], "big")
    assert decoded(file(gama(100000))).icc_profile == profile
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip() == "PNG, gamma 1"


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 100_000), min_size=8, max_size=8), st.integers(0, 2**32 - 1))
def test_numbers_at_random_make_a_profile_or_none(points, gamma):
    colours = find_colours({b"cHRM": struct.pack(">8I", *points), b"gAMA": struct.pack(">I", gamma)}, None)
    if colours.profile is not None:
        ImageCms.ImageCmsProfile(io.BytesIO(colours.profile))


@given(st.binary(max_size=60))
def test_bytes_at_random_are_no_profile(chunk):
    assert unpacked_profile(chunk) is None


@given(
    st.sampled_from(["PQ", "HLG"]),
    st.sampled_from([BT709, BT2020]),
    st.integers(1, 2**32 - 1),
    st.binary(min_size=48, max_size=48),
)
def test_light_at_random(transfer, chromaticities, peak, samples):
    image = Image.frombytes("RGBA", (4, 3), samples)
    alpha = image.getchannel("A").tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HdrCoding(transfer, chromaticities, peak / 10_000).to_srgb(image)
    assert image.getchannel("A").tobytes() == alpha


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
@pytest.mark.parametrize("peak", [0.0001, 203, 204, 1000, 10_000, 400_000])
def test_brighter_light_never_becomes_darker(transfer, peak):
    ramp = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[np.newaxis, :, np.newaxis], 3, 2))
    HdrCoding(transfer, BT2020, peak).to_srgb(ramp)
    grey = np.asarray(ramp)[0, :, 0].astype(int)
    assert grey[0] == 0
    assert (np.diff(grey) >= 0).all()
    assert np.ptp(np.asarray(ramp).astype(int), axis=-1).max() <= 1
