"""What the chunks of a PNG decide: its pixels, its transparency, its first frame; and what they must not decide."""

import io
import struct
import zlib

import numpy as np
import pytest

from imaging.core.codecs.decode import APART_SECONDS, decode
from imaging.core.codecs.headers import read_header, walk_through
from imaging.core.problems import ImageRefused
from tests.imaging.core import hostile
from tests.imaging.core.hostile import MEBIBYTE
from tests.imaging.core.pictures import check, decoded, exif, file_bytes, photo, png, png_chunk

SIZE = WIDTH, HEIGHT = 24, 16
PIXELS = np.asarray(photo(SIZE))
OTHER = np.asarray(photo(SIZE, seed=1))
PALETTE = bytes((index * 37) % 256 for index in range(768))
INDEXES = [bytes((x * 5 + y * 11) % 64 for x in range(WIDTH)) for y in range(HEIGHT)]


def packed(pixels):
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))


def rgb(before=b"", after=b"", data=None):
    return hostile.png(WIDTH, HEIGHT, before, after, png_chunk(b"IDAT", packed(PIXELS)) if data is None else data)


def broken_sum(name, payload):
    chunk = bytearray(png_chunk(name, payload))
    chunk[-1] ^= 1
    return bytes(chunk)


def pixels_of(data):
    return np.asarray(decoded(data).pixels)


def is_refused(data):
    header, problems = check(data)
    if header is None:
        return [problem.code for problem in problems] == ["invalid_image"]
    with pytest.raises(ImageRefused):
        decode(io.BytesIO(data), header)
    return True


def assert_unchanged(data):
    result = decoded(data)
    assert result.pixels.mode == "RGB"
    assert (np.asarray(result.pixels) == PIXELS).all()
    assert result.icc_profile is None


NAMES = [
    b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"hIST", b"sBIT", b"sPLT",
    b"pHYs", b"tIME", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"caBX", b"abCd", b"ABCD", b"a b\xff",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_chunk_of_a_wrong_length(name):
    for length in (0, 1, 3, 5):
        assert_unchanged(rgb(before=png_chunk(name, bytes(length))))
        assert_unchanged(rgb(after=png_chunk(name, bytes(length))))


@pytest.mark.parametrize("name", NAMES)
def test_a_chunk_with_a_wrong_sum(name):
    for length in (1, 4, 6, 8, 9, 26, 32):
        chunk = broken_sum(name, bytes((9,)) * length)
        assert_unchanged(rgb(before=chunk))
        assert_unchanged(rgb(after=chunk * 2))


TEXTS = {
    "plain": png_chunk(b"tEXt", b"k\0" + b"a" * (9 * MEBIBYTE)),
    "packed": png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(9 * MEBIBYTE))),
    "international": png_chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(9 * MEBIBYTE))),
    "of an unknown compression": png_chunk(b"zTXt", b"k\0\7abc"),
    "without an end": png_chunk(b"tEXt", b"k" * 200),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts(kind):
    assert_unchanged(rgb(before=TEXTS[kind]))
    assert_unchanged(rgb(after=TEXTS[kind]))


def test_a_broken_header_is_refused():
    whole = rgb()
    for change in (8 + 3, 16 + 3, 29):
        data = bytearray(whole)
        data[change] ^= 1
        assert is_refused(bytes(data))
    header = whole[8:33]
    assert is_refused(rgb(before=header))
    assert is_refused(whole[:8] + png_chunk(b"tEXt", b"a\0b") + whole[8:])


def test_a_file_that_ends_behind_its_pixels():
    data = png_chunk(b"IDAT", packed(PIXELS))
    whole = hostile.png(WIDTH, HEIGHT, data=data)
    start = whole.index(b"IDAT") - 4
    # Before IEND, inside or before the data's checksum, and inside zlib's checksum.
    for missing in (0, 2, 4, 6, 8):
        assert_unchanged(whole[: start + len(data) - missing])
    assert_unchanged(whole[:-12] + png_chunk(b"tEXt", b"a\0b")[:-3])
    assert_unchanged(whole[:-5])


@pytest.mark.parametrize("missing", [9, 12, 50, 400])
def test_pixels_that_are_cut_are_refused(missing):
    data = png_chunk(b"IDAT", packed(PIXELS))
    whole = hostile.png(WIDTH, HEIGHT, data=data)
    assert is_refused(whole[: whole.index(b"IDAT") - 4 + len(data) - missing])
    assert is_refused(rgb(data=png_chunk(b"IDAT", packed(PIXELS)[: 4 - missing])))


def test_the_sum_of_image_data_is_not_checked():
    data = packed(PIXELS)
    assert_unchanged(rgb(data=broken_sum(b"IDAT", data[:9]) + broken_sum(b"IDAT", data[9:])))


def test_a_broken_orientation_is_as_good_as_none():
    block = exif(6)[6:]
    assert check(rgb(before=broken_sum(b"eXIf", block)))[0].orientation == 1
    assert check(rgb(before=broken_sum(b"eXIf", block) + png_chunk(b"eXIf", block)))[0].orientation == 6
    assert check(rgb(after=png_chunk(b"eXIf", block)))[0].orientation == 6


# Palettes


def indexed(*chunks, after=b""):
    data = png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in INDEXES)))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + data + after + png_chunk(b"IEND", b"")


def expected_of(palette):
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    return colours[[list(row) for row in INDEXES]]


def test_a_palette():
    assert (pixels_of(indexed(png_chunk(b"PLTE", PALETTE))) == expected_of(PALETTE)).all()


def test_what_is_beyond_a_short_palette_is_its_last_colour():
    for palette in (PALETTE[:30], PALETTE[:31]):
        filled = PALETTE[:30] + PALETTE[27:30] * 246
        assert (pixels_of(indexed(png_chunk(b"PLTE", palette))) == expected_of(filled)).all()


@pytest.mark.parametrize(
    "chunks",
    [
        b"",
        broken_sum(b"PLTE", PALETTE),
        png_chunk(b"PLTE", b""),
        png_chunk(b"PLTE", b"\1\2"),
        png_chunk(b"PLTE", PALETTE + b"\1\2\3"),
        png_chunk(b"PLTE", PALETTE) * 2,
    ],
)
def test_without_one_sound_palette_an_indexed_image_is_refused(chunks):
    assert is_refused(indexed(chunks))
    assert is_refused(indexed(after=png_chunk(b"PLTE", PALETTE)))


def test_a_palette_that_is_only_suggested_decides_nothing():
    for chunks in (png_chunk(b"PLTE", PALETTE) * 2, broken_sum(b"PLTE", PALETTE), png_chunk(b"PLTE", bytes(900))):
        assert_unchanged(rgb(before=chunks))


def test_the_transparency_of_a_palette():
    palette, alphas = png_chunk(b"PLTE", PALETTE), bytes(range(10, 74))
    transparency = png_chunk(b"tRNS", alphas)
    expected = np.frombuffer(alphas, np.uint8)[[list(row) for row in INDEXES]]
    for chunks in (
        palette + transparency,
        palette + transparency + png_chunk(b"tRNS", bytes(64)),
        palette + broken_sum(b"tRNS", bytes(64)) + transparency,
        palette + png_chunk(b"tRNS", bytes(300)) + transparency,
        palette + png_chunk(b"tRNS", alphas + bytes(100)),
    ):
        assert (pixels_of(indexed(chunks))[..., 3] == expected).all()


@pytest.mark.parametrize("bad", [broken_sum(b"tRNS", bytes(64)), png_chunk(b"tRNS", b""), png_chunk(b"tRNS", bytes(257))])
def test_broken_transparency_of_a_palette_is_as_good_as_none(bad):
    palette = png_chunk(b"PLTE", PALETTE)
    for data in (indexed(palette, bad), indexed(bad, palette), indexed(palette, after=png_chunk(b"tRNS", bytes(64)))):
        assert decoded(data).pixels.mode == "RGB"


def test_transparency_before_the_palette_is_ignored():
    assert decoded(indexed(png_chunk(b"tRNS", bytes(64)), png_chunk(b"PLTE", PALETTE))).pixels.mode == "RGB"


# Transparent colours


def transparent(*color):
    return struct.pack(f">{len(color)}H", *color)


def test_the_first_transparent_colour_counts():
    color = [int(sample) for sample in PIXELS[3, 5]]
    for chunks in (
        png_chunk(b"tRNS", transparent(*color)),
        png_chunk(b"tRNS", transparent(*color) + b"\0\0"),
        png_chunk(b"tRNS", transparent(*color)) + png_chunk(b"tRNS", transparent(1, 2, 3)),
        broken_sum(b"tRNS", transparent(1, 2, 3)) + png_chunk(b"tRNS", transparent(*color)),
    ):
        alpha = pixels_of(rgb(before=chunks))[..., 3]
        assert alpha[3, 5] == 0
        assert (alpha == 0).sum() == (np.array(color) == PIXELS).all(axis=-1).sum()


def test_a_transparent_colour_behind_the_pixels_is_ignored():
    color = png_chunk(b"tRNS", transparent(*(int(sample) for sample in PIXELS[3, 5])))
    assert_unchanged(rgb(after=color))
    samples = [bytes(range(WIDTH))] * HEIGHT
    grey = png(WIDTH, HEIGHT, 8, 0, samples)
    assert decoded(grey[:-12] + png_chunk(b"tRNS", b"\0\5") + grey[-12:]).pixels.mode == "RGB"


def test_a_short_transparent_grey_is_ignored():
    samples = [bytes(range(WIDTH))] * HEIGHT
    assert decoded(png(WIDTH, HEIGHT, 8, 0, samples, (b"tRNS", b"\5"))).pixels.mode == "RGB"


def deep(interlaced=False):
    """16-bit RGB of close colours; (0x1231, 0x1232, 0x1233) occurs now and then, its neighbours everywhere."""
    values = (0x1230 + np.random.default_rng(1).integers(0, 4, (HEIGHT, WIDTH, 3))).astype(">u2")
    values[::3, ::2] = 0x1231, 0x1232, 0x1233
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [values[y::down, x::across] for x, y, across, down in passes] if interlaced else [values]
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for part in parts for row in part))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, int(interlaced)))
    head = b"\x89PNG\r\n\x1a\n" + header
    return values, lambda color: head + png_chunk(b"tRNS", color) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_transparent_colour_of_16_bits_is_compared_with_16_bits(interlaced):
    values, make = deep(interlaced)
    result = pixels_of(make(transparent(0x1231, 0x1232, 0x1233)))
    is_color = (values == np.array((0x1231, 0x1232, 0x1233))).all(axis=-1)
    assert 0 < is_color.sum() < is_color.size / 2
    assert ((result[..., 3] == 0) == is_color).all()
    assert (result[..., :3] == 0x12).all()
    assert (pixels_of(make(transparent(0x1241, 0x1232, 0x1233)))[..., 3] == 255).all()


# Animations

WHOLE = (WIDTH, HEIGHT, 0, 0)
SMALL = (10, 8, 3, 2)


def actl(frames=1):
    return png_chunk(b"acTL", struct.pack(">II", frames, 0))


def control(number=0, box=WHOLE, disposal=0, blending=0):
    return struct.pack(">5I2H2B", number, *box, 1, 10, disposal, blending)


def fctl(number=0, box=WHOLE, **fields):
    return png_chunk(b"fcTL", control(number, box, **fields))


def fdat(number, data):
    return png_chunk(b"fdAT", struct.pack(">I", number) + data)


FRAME = packed(OTHER)
TEXT = png_chunk(b"tEXt", b"a\0b")
FIRST_FRAMES = {
    "one": rgb(actl(), fctl() + fdat(1, FRAME)),
    "two": rgb(actl(2), fctl() + fdat(1, FRAME) + fctl(2) + fdat(3, packed(PIXELS))),
    "in pieces": rgb(actl(), fctl() + fdat(1, FRAME[:9]) + fdat(2, FRAME[9:])),
    "with texts": rgb(actl(), TEXT + fctl() + broken_sum(b"tEXt", b"a") + fdat(1, FRAME[:9]) + TEXT + fdat(2, FRAME[9:])),
    "with a wrong sum": rgb(actl(), fctl() + broken_sum(b"fdAT", struct.pack(">I", 1) + FRAME)),
    "over a broken default image": rgb(actl(), fctl() + fdat(1, FRAME), png_chunk(b"IDAT", b"nothing")),
    "at the end of a file": rgb(actl(), fctl() + fdat(1, FRAME))[:-16],
    "announced twice": rgb(actl() + actl(0), fctl() + fdat(1, FRAME)),
}


@pytest.mark.parametrize("kind", FIRST_FRAMES)
def test_an_animation_whose_default_image_is_no_frame_gives_its_first_frame(kind):
    result = decoded(FIRST_FRAMES[kind]).pixels
    assert result.mode == "RGB"
    assert (np.asarray(result) == OTHER).all()


def test_a_first_frame_that_is_smaller_than_the_image():
    width, height, left, top = SMALL
    part = OTHER[:height, :width]
    data = rgb(actl(), fctl(box=SMALL, blending=1) + fdat(1, packed(part)))
    assert read_header(io.BytesIO(data)).upright_size == SIZE
    result = pixels_of(data)
    assert (result[top : top + height, left : left + width, :3] == part).all()
    assert (result[..., 3] > 0).sum() == width * height
    assert (result[result[..., 3] == 0] == 0).all()


def test_a_first_frame_with_a_palette_and_transparency():
    width, height, left, top = SMALL
    rows = [row[:width] for row in INDEXES[:height]]
    frame = fdat(1, zlib.compress(b"".join(b"\0" + row for row in rows)))
    data = indexed(actl(), png_chunk(b"PLTE", PALETTE), png_chunk(b"tRNS", bytes(range(64))), after=fctl(box=SMALL) + frame)
    result = pixels_of(data)[top : top + height, left : left + width]
    assert (result[..., :3] == expected_of(PALETTE)[:height, :width]).all()
    assert (result[..., 3] == [list(row) for row in rows]).all()


NO_FRAMES = {
    "lone data": (b"", fdat(0, FRAME)),
    "lone data before the pixels": (fdat(0, FRAME), b""),
    "without an announcement": (b"", fctl() + fdat(1, FRAME)),
    "announced behind the pixels": (b"", actl() + fctl() + fdat(1, FRAME)),
    "a broken announcement": (broken_sum(b"acTL", struct.pack(">II", 1, 0)), fctl() + fdat(1, FRAME)),
    "a short announcement": (png_chunk(b"acTL", b"\0\0\0\1"), fctl() + fdat(1, FRAME)),
    "no frames": (actl(0), fctl() + fdat(1, FRAME)),
    "too many frames": (actl(2**31), fctl() + fdat(1, FRAME)),
    "the default image is a frame": (actl(2) + fctl(), fctl(1) + fdat(2, FRAME)),
    "the same, announced behind it": (fctl() + actl(2), fctl(1) + fdat(2, FRAME)),
    "beyond the edge": (actl(), fctl(box=(WIDTH, HEIGHT, 1, 0)) + fdat(1, FRAME)),
    "far too large": (actl(), fctl(box=(2**31 - 1, 2**31 - 1, 0, 0)) + fdat(1, FRAME)),
    "beyond 32 bits": (actl(), fctl(box=(WIDTH, HEIGHT, 2**32 - 1, 0)) + fdat(1, FRAME)),
    "without a width": (actl(), fctl(box=(0, HEIGHT, 0, 0)) + fdat(1, FRAME)),
    "a broken control chunk": (actl(), broken_sum(b"fcTL", control()) + fdat(1, FRAME)),
    "a short control chunk": (actl(), png_chunk(b"fcTL", control()[:-1]) + fdat(1, FRAME)),
    "an unknown disposal": (actl(), fctl(disposal=3) + fdat(1, FRAME)),
    "an unknown blending": (actl(), fctl(blending=2) + fdat(1, FRAME)),
    "numbered wrong": (actl(), fctl(3) + fdat(4, FRAME)),
    "data numbered wrong": (actl(), fctl() + fdat(1, FRAME[:9]) + fdat(3, FRAME[9:])),
    "data too short for a number": (actl(), fctl() + png_chunk(b"fdAT", b"\0\0")),
    "without data": (actl(), fctl() + fctl(1) + fdat(2, FRAME)),
}


@pytest.mark.parametrize("kind", NO_FRAMES)
def test_without_a_sound_first_frame_the_default_image_is_the_image(kind):
    assert_unchanged(rgb(*NO_FRAMES[kind]))


def test_a_first_frame_that_is_cut_is_refused():
    assert is_refused(rgb(actl(), fctl() + fdat(1, FRAME[:-60])))
    assert is_refused(rgb(actl(), fctl() + fdat(1, b"nothing")))


def test_a_first_frame_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr("imaging.core.codecs.decode.APART_SECONDS", -1.0)
    width, height, left, top = SMALL
    data = rgb(actl(), fctl(box=SMALL) + fdat(1, packed(OTHER[:height, :width])))
    assert (pixels_of(data)[top : top + height, left : left + width, :3] == OTHER[:height, :width]).all()
    assert (pixels_of(FIRST_FRAMES["one"]) == OTHER).all()
    values, make = deep()
    is_color = (values == np.array((0x1231, 0x1232, 0x1233))).all(axis=-1)
    assert ((pixels_of(make(transparent(0x1231, 0x1232, 0x1233)))[..., 3] == 0) == is_color).all()


def test_what_takes_longer_is_estimated_so():
    def seconds(bits, *chunks):
        return walk_through(png(5000, 5000, bits, 2, [], *chunks)).seconds

    assert seconds(8) < APART_SECONDS < seconds(8, (b"cICP", bytes((9, 16, 0, 1))))
    assert seconds(16, (b"tRNS", bytes(6))) == 2 * seconds(16)


def test_an_ordinary_file_is_shown_to_the_decoder_without_a_copy():
    data = file_bytes(photo((640, 480)), exif=exif(6))
    walked = walk_through(data)
    assert sum(len(part) for part in walked.parts if isinstance(part, bytes)) < 200
    assert sum(part[1] - part[0] for part in walked.parts if not isinstance(part, bytes)) > len(data) - 400
