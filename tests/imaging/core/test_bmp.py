"""Every kind of BMP that writers make; the expectations for the odd ones are what Chromium 156 shows."""

import io
import struct

import numpy as np
import pytest
from PIL import ImageCms

from imaging.core.codecs.checks import ImageHeader
from imaging.core.codecs.decode import decode
from imaging.core.codecs.headers import read_header
from imaging.core.problems import ImageRefused
from tests.imaging.core.bitmaps import (
    ALPHA_BITFIELDS,
    ALPHA_MASKED,
    BITFIELDS,
    CALIBRATED,
    CORE,
    EMBEDDED,
    INFO,
    MASKED,
    OS2,
    OS2_SHORT,
    RLE4,
    RLE8,
    RLE24,
    V4,
    V5,
    bitmap,
    rows_of,
)
from tests.imaging.core.pictures import check, decoded

WIDTH, HEIGHT = SIZE = (7, 3)
RANDOM = np.random.default_rng(0)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PALETTE = RANDOM.bytes(4 * 256)
COLOURS = np.frombuffer(PALETTE, np.uint8).reshape(-1, 4)[:, 2::-1]
BLACK, HOLE = [0, 0, 0, 255], [0, 0, 0, 0]


def pixels(data):
    return np.asarray(decoded(data).pixels)


def rgba(data):
    return np.asarray(decoded(data).pixels.convert("RGBA"))


def numbers(bits):
    return RANDOM.integers(0, 1 << bits, (HEIGHT, WIDTH), f"<u{bits // 8}")


def refusal_of(data):
    """The code of the refusal, on reading the header or on decoding."""
    with pytest.raises(ImageRefused) as refusal:
        decode(io.BytesIO(data), read_header(io.BytesIO(data)))
    return refusal.value.problems[0].code


def band(values, mask):
    """Samples of 8 bits, by every reader's formula: the nearest of 255 steps, or the highest 8 bits."""
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    samples = (values.astype(int) & mask) >> shift
    return samples >> (top.bit_length() - 8) if top > 255 else (samples * 255 + top // 2) // top


MASKS_16 = [
    (0xF800, 0x7E0, 0x1F),
    (0x7C00, 0x3E0, 0x1F),
    (0x1F, 0x7E0, 0xF800),
    (0xF00, 0xF0, 0xF),
    (0xE0, 0x1C, 0x3),
    (0x7C00, 0x3E0, 0x1F, 0x8000),
    (0xF00, 0xF0, 0xF, 0xF000),
    (0xF000, 0xF00, 0xF0, 0xF),
]
MASKS_32 = [
    (0xFF0000, 0xFF00, 0xFF),
    (0xFF, 0xFF00, 0xFF0000),
    (0xFF000000, 0xFF0000, 0xFF00),
    (0x3FF00000, 0xFFC00, 0x3FF),
    (0xFFE00000, 0x1FFC00, 0x3FF),
    (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
    (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000),
    (0xF800, 0x7E0, 0x1F, 0x10000),
]


@pytest.mark.parametrize(("bits", "masks"), [*((16, masks) for masks in MASKS_16), *((32, masks) for masks in MASKS_32)])
@pytest.mark.parametrize("header", [INFO, MASKED, ALPHA_MASKED, V4, V5])
def test_bit_fields(bits, masks, header):
    values = numbers(bits)
    compression = ALPHA_BITFIELDS if header == INFO and len(masks) == 4 else BITFIELDS
    has_alpha = len(masks) == 4 and header != MASKED
    data = bitmap(SIZE, bits, rows_of(values), header=header, compression=compression, masks=masks)
    expected = [band(values, mask) for mask in (masks if has_alpha else masks[:3])]
    assert (pixels(data) == np.stack(expected, axis=-1)).all()


def test_bit_fields_of_24_bits():
    values = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    data = bitmap(SIZE, 24, rows_of(values), compression=BITFIELDS, masks=(0xFF, 0xFF00, 0xFF0000))
    assert (pixels(data) == values).all()


@pytest.mark.parametrize("bits", [16, 32])
def test_bit_fields_without_masks_are_the_usual_ones(bits):
    rows = rows_of(numbers(bits))
    data = bitmap(SIZE, bits, rows, compression=BITFIELDS, masks=(0, 0, 0))
    assert (pixels(data) == pixels(bitmap(SIZE, bits, rows))).all()


def test_masks_with_holes_make_no_image():
    data = bitmap(SIZE, 32, rows_of(numbers(32)), compression=BITFIELDS, masks=(0xF00F0000, 0xFF00, 0xFF))
    assert [problem.code for problem in check(data)[1]] == ["invalid_image"]


@pytest.mark.parametrize(("header", "is_kept"), [(INFO, False), (ALPHA_MASKED, False), (V4, True), (V5, True)])
def test_alpha_of_32_bits_without_bit_fields(header, is_kept):
    """Before V4 the fourth byte is reserved: many files have arbitrary values there."""
    values = numbers(32)
    data = bitmap(SIZE, 32, rows_of(values), header=header, masks=MASKS_32[5] if header != INFO else ())
    assert (rgba(data)[..., 3] == (values >> 24 if is_kept else 255)).all()


@pytest.mark.parametrize("compression", [0, BITFIELDS])
@pytest.mark.parametrize("header", [INFO, V4, V5])
@pytest.mark.parametrize("bits", [16, 32])
def test_alpha_that_is_zero_everywhere_was_never_set(compression, header, bits):
    masks = MASKS_16[5] if bits == 16 else MASKS_32[5]
    values = numbers(bits) & sum(masks[:3])
    masks = masks if header != INFO else masks[:3] if compression else ()
    data = bitmap(SIZE, bits, rows_of(values), header=header, compression=compression, masks=masks)
    assert pixels(data).shape == (HEIGHT, WIDTH, 3)


def true_colours():
    return RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("header", [CORE, OS2_SHORT, 20, 42, 46, 60, OS2, INFO, MASKED, ALPHA_MASKED, V4, V5])
def test_every_header(header):
    colours = true_colours()
    data = bitmap(SIZE, 24, rows_of(colours[..., ::-1].reshape(HEIGHT, -1)), header=header)
    assert check(data)[0] == ImageHeader("BMP", WIDTH, HEIGHT, 1)
    assert (pixels(data) == colours).all()


@pytest.mark.parametrize("header", [0, 13, 15, 41, 65, 125, 0xFFFFFFFF])
def test_no_other_header(header):
    data = bytearray(bitmap(SIZE, 24, rows_of(true_colours()), header=V5))
    data[14:18] = struct.pack("<I", header)
    assert [problem.code for problem in check(bytes(data))[1]] == ["invalid_image"]


def packed(indexes, bits):
    shifts = np.arange(8 - bits, -1, -bits)
    whole = np.pad(indexes, ((0, 0), (0, -indexes.shape[1] % len(shifts)))).reshape(len(indexes), -1, len(shifts))
    return rows_of((whole << shifts).sum(axis=2).astype(np.uint8))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("header", [CORE, OS2_SHORT, OS2, INFO, V5])
@pytest.mark.parametrize("from_top", [False, True])
def test_palettes(bits, header, from_top):
    indexes = RANDOM.integers(0, 1 << bits, (HEIGHT, WIDTH))
    palette = PALETTE[: 4 << bits]
    if header == CORE:
        palette = b"".join(palette[at : at + 3] for at in range(0, len(palette), 4))
        from_top = False
    data = bitmap(SIZE, bits, packed(indexes, bits), header=header, palette=palette, from_top=from_top)
    assert (pixels(data) == COLOURS[indexes[::-1] if from_top else indexes]).all()


@pytest.mark.parametrize(
    ("bits", "stored", "said"),
    [(8, 300, 300), (8, 300, 0), (8, 256, 0x7FFFFFFF), (8, 256, 257), (4, 20, 20), (4, 16, 1000), (2, 5, 5), (1, 3, 3)],
)
def test_palettes_of_more_colours_than_the_bits_can_name(bits, stored, said):
    indexes = RANDOM.integers(0, 1 << bits, (HEIGHT, WIDTH))
    palette = (PALETTE[: 4 << bits] + bytes(4 * 256))[: 4 * stored]
    data = bitmap(SIZE, bits, packed(indexes, bits), palette=palette, colours=said)
    assert (pixels(data) == COLOURS[indexes]).all()


@pytest.mark.parametrize("said", [0, 10, 200])
def test_what_a_palette_lacks_is_black(said):
    indexes = np.array([[9, 10, 200]])
    data = bitmap((3, 1), 8, rows_of(indexes.astype(np.uint8)), palette=PALETTE[:40], colours=said)
    assert pixels(data).tolist() == [[COLOURS[9].tolist(), [0, 0, 0], [0, 0, 0]]]


@pytest.mark.parametrize("gap", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_pixels_at_any_place(gap, bits):
    rows = RANDOM.bytes((WIDTH * bits + 31) // 32 * 4 * HEIGHT)
    assert (pixels(bitmap(SIZE, bits, rows, gap=gap)) == pixels(bitmap(SIZE, bits, rows))).all()


@pytest.mark.parametrize("offset", [0, 54])
def test_a_place_of_pixels_that_forgets_the_palette(offset):
    indexes = RANDOM.integers(0, 256, (HEIGHT, WIDTH))
    data = bitmap(SIZE, 8, packed(indexes, 8), palette=PALETTE, offset=offset)
    assert (pixels(data) == COLOURS[indexes]).all()


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_rows_from_the_top(bits):
    rows = RANDOM.bytes((WIDTH * bits + 31) // 32 * 4 * HEIGHT)
    palette = PALETTE if bits == 8 else b""
    upright = pixels(bitmap(SIZE, bits, rows, palette=palette))
    assert (pixels(bitmap(SIZE, bits, rows, palette=palette, from_top=True)) == upright[::-1]).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16, 24, 32])
@pytest.mark.parametrize("width", [7, 8, 9, 32])
def test_a_missing_last_byte(bits, width):
    stride = (width * bits + 31) // 32 * 4
    palette = PALETTE[: 4 << bits] if bits <= 8 else b""
    data = bitmap((width, 3), bits, RANDOM.bytes(stride * 3), palette=palette)
    whole, cut = pixels(data), pixels(data[:-1])
    assert (cut[1:] == whole[1:]).all()
    lost = -(-8 // bits)
    assert (cut[0, :-lost] == whole[0, :-lost]).all()
    padding = stride - (width * bits + 7) // 8
    assert (pixels(data[: len(data) - padding]) == whole).all()
    for missing in (padding + max(1, bits // 8) + 1, stride, stride + 1, 2 * stride):
        assert refusal_of(data[:-missing]) == "invalid_image"


def test_a_profile_is_kept_byte_for_byte():
    rows = rows_of(numbers(32))
    for bits, masks, compression in ((24, (), 0), (32, MASKS_32[5], BITFIELDS), (8, (), 0)):
        data = bitmap(
            SIZE, bits, rows, header=V5, masks=masks, compression=compression, colour_space=EMBEDDED, profile=PROFILE,
            palette=PALETTE if bits == 8 else b"",
        )  # fmt: skip
        assert decoded(data).icc_profile == PROFILE


def test_a_profile_of_an_image_that_is_decoded_apart(monkeypatch):
    monkeypatch.setattr("imaging.core.codecs.decode.APART_SECONDS", 0)
    data = bitmap(SIZE, 32, rows_of(numbers(32)), header=V5, masks=MASKS_32[5], colour_space=EMBEDDED, profile=PROFILE)
    assert decoded(data).icc_profile == PROFILE
    assert decoded(data).pixels.mode == "RGBA"


def test_a_profile_that_browsers_do_not_use():
    rows = rows_of(numbers(32))
    wide = struct.pack("<9i3I", *[1 << 29] * 9, *[1 << 17] * 3)
    for header, space, profile in (
        (V5, 0x73524742, PROFILE),
        (V5, CALIBRATED, b""),
        (V4, CALIBRATED, b""),
        (V4, EMBEDDED, b""),
        (V5, 0x4C494E4B, b"c:\\a.icc\0"),
        (V5, EMBEDDED, b""),
        (V5, EMBEDDED, b"short"),
        (V5, EMBEDDED, PROFILE[:16] + b"GRAY" + PROFILE[20:]),
    ):
        data = bitmap(SIZE, 24, rows, header=header, colour_space=space, colours_of_space=wide, profile=profile)
        assert decoded(data).icc_profile is None


@pytest.mark.parametrize(("place", "number"), [(126, 0xFFFFFFFF), (130, 0xFFFFFFFF), (130, len(PROFILE) + 1)])
def test_a_profile_beyond_the_end_of_the_file(place, number):
    data = bitmap(SIZE, 24, rows_of(numbers(32)), header=V5, colour_space=EMBEDDED, profile=PROFILE)
    assert decoded(data[:place] + struct.pack("<I", number) + data[place + 4 :]).icc_profile is None


def runs(data, bits=8, size=(5, 2), **more):
    compression = {4: RLE4, 8: RLE8, 24: RLE24}[bits]
    palette = b"" if bits == 24 else b"".join(bytes((index, 0, 255 - index, 0)) for index in range(1 << bits))
    return bitmap(size, bits, data, compression=compression, palette=palette, **more)


def drawn(rows):
    """RGBA of rows of indexes, None for what is left out, and "hole" for what is transparent."""
    special = {None: BLACK, "hole": HOLE}
    return [[special[index] if index in special else [255 - index, 0, index, 255] for index in row] for row in rows]


EARLY = [
    (b"\5\1\0\0\2\2\0\1", 8, [[2, 2, None, None, None], [1] * 5]),
    (b"\5\1\0\1", 8, [[None] * 5, [1] * 5]),
    (b"\2\1\0\0\1\2\0\1", 8, [[2, None, None, None, None], [1, 1, None, None, None]]),
    (b"\2\1\0\2\1\1\2\3\0\1", 8, [[None, None, None, 3, 3], [1, 1, None, None, None]]),
    (b"\5\1\0\0\4\2\0\1", 8, [[2, 2, 2, 2, None], [1] * 5]),
    (b"\0\1", 8, [[None] * 5] * 2),
    (b"\5\x12\0\0\3\x34\0\1", 4, [[3, 4, 3, None, None], [1, 2, 1, 2, 1]]),
    # Without the end code.
    (b"\5\1\0\0", 8, [["hole"] * 5, [1] * 5]),
    (b"\5\1", 8, [["hole"] * 5, [1] * 5]),
    (b"\5\1\0\0\2", 8, [["hole"] * 5, [1] * 5]),
    (b"\5\1\0\0\2\2", 8, [["hole"] * 5, [1] * 5]),
    (b"\5\1\0\0\0\5\1\2", 8, [["hole"] * 5, [1] * 5]),
    (b"\5\1\0\0\0\2\1", 8, [["hole"] * 5, [1] * 5]),
    (b"\5\x12\0\0\0\5\x34", 4, [["hole"] * 5, [1, 2, 1, 2, 1]]),
]


@pytest.mark.parametrize(("data", "bits", "expected"), EARLY)
@pytest.mark.parametrize("header", [INFO, OS2, V5])
def test_runs_that_end_early(data, bits, expected, header):
    assert rgba(runs(data, bits, header=header)).tolist() == drawn(expected)


def test_runs_of_whole_rows_need_no_end():
    assert pixels(runs(b"\5\1\0\0\5\2")).shape == (2, 5, 3)
    assert pixels(runs(b"\5\1\0\0\5\2\0\0")).shape == (2, 5, 3)
    assert (pixels(runs(b"\5\1\0\0\5\2\0\0\0\1")[:-1]) == pixels(runs(b"\5\1\0\0\5\2"))).all()


@pytest.mark.parametrize("data", [b"", b"\5", b"\2\1", b"\0\5\1\2", b"\0\2\1"])
def test_runs_that_end_before_the_first_row_does_make_no_image(data):
    assert refusal_of(runs(data)) == "invalid_image"


def test_runs_from_a_file_that_is_cut_off_make_no_image():
    data = runs(b"\5\1\0\0" * 100 + b"\0\1", size=(5, 100))
    assert pixels(data).shape == (100, 5, 3)
    for missing in (10, 100, 300):
        assert refusal_of(data[:-missing]) == "invalid_image"


def test_runs_from_the_top():
    data = b"\5\1\0\0\5\2\0\1"
    assert (pixels(runs(data, from_top=True)) == pixels(runs(data))[::-1]).all()


def test_runs_of_24_bits():
    data = b"\5abc\0\0\0\3ABCDEFGHI\0\2xyz\0\1"
    expected = [[*b"CBA"], [*b"FED"], [*b"IHG"], [*b"zyx"], [*b"zyx"]], [[*b"cba"]] * 5
    assert pixels(runs(data, 24, header=OS2)).tolist() == list(expected)
    early = b"\5abc\0\0\2xyz\0\1"
    assert rgba(runs(early, 24, header=OS2)).tolist()[0] == [[*b"zyx\xff"]] * 2 + [BLACK] * 3
    jump = b"\2abc\0\2\1\1\2xyz\0\1"
    assert rgba(runs(jump, 24, header=OS2)).tolist()[0] == [BLACK] * 3 + [[*b"zyx\xff"]] * 2
    assert rgba(runs(b"\5abc\0\0\2xy", 24, header=OS2)).tolist() == [[HOLE] * 5, [[*b"cba\xff"]] * 5]
    # In Windows that number means an embedded JPEG.
    assert refusal_of(runs(data, 24)) == "invalid_image"


def test_huffman_codes_of_os2_make_no_image():
    assert refusal_of(bitmap(SIZE, 1, bytes(100), header=OS2, compression=BITFIELDS, palette=PALETTE[:8])) == "invalid_image"
