"""Every kind of image that the four formats can hold, and every way to break one."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms

from imaging.core.codecs.checks import ImageHeader
from imaging.core.codecs.decode import decode
from imaging.core.problems import ImageRefused
from tests.examples import examples
from tests.imaging.core.pictures import bmp, check, decoded, exif, file_bytes, photo, png

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def grey_profile():
    """A minimal GRAY profile: sRGB's header and white point, with a gamma of 2.2 as its only curve."""
    tags = [(b"desc", b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\x00" + bytes(82))]
    tags.append((b"cprt", b"text" + bytes(4) + b"none" + bytes(4)))
    tags.append((b"wtpt", b"XYZ " + bytes(4) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)))
    tags.append((b"kTRC", b"curv" + bytes(4) + struct.pack(">IH", 1, int(2.2 * 256)) + bytes(2)))
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, payload in tags:
        payload += bytes(-len(payload) % 4)
        table += name + struct.pack(">II", offset + len(data), len(payload))
        data += payload
    header = bytearray(SRGB[:128])
    header[0:4] = struct.pack(">I", offset + len(data))
    header[8:12] = b"\x02\x10\x00\x00"
    header[16:20] = b"GRAY"
    return bytes(header) + struct.pack(">I", len(tags)) + table + data


def as_space(space):
    return SRGB[:16] + space + SRGB[20:]


def pixels(data):
    return np.asarray(decoded(data).pixels)


def error(actual, expected):
    """The mean difference of two images."""
    return np.abs(np.asarray(actual, int) - np.asarray(expected, int)).mean()


MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "WEBP": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "JPEG": ("1", "L", "RGB"),
}
FAITHFUL: dict[str, dict[str, Any]] = {
    "WEBP": {"lossless": True, "exact": True},
    "JPEG": {"quality": 95, "subsampling": 0},
}


@pytest.mark.parametrize(("format", "mode"), [(format, mode) for format, modes in MODES.items() for mode in modes])
def test_the_modes_that_pillow_writes(format, mode):
    image = photo(mode="RGBA" if mode in ("LA", "RGBA") else "RGB").convert(mode)
    settings = FAITHFUL.get(format, {})
    result = decoded(file_bytes(image, format, **settings)).pixels
    # The fourth byte of such a BMP is reserved, whatever Pillow writes into it.
    expected = image.convert("RGBA" if mode in ("LA", "RGBA") and format != "BMP" else "RGB")
    assert result.mode == expected.mode
    assert error(result, expected) < (4 if format == "JPEG" else 0.001)


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 250, 10))])
def test_a_palette_with_transparency(transparency):
    image = photo().quantize(32)
    data = file_bytes(image, transparency=transparency)
    result = decoded(data).pixels
    indexes = np.asarray(image)
    table = np.full(256, 255)
    if isinstance(transparency, int):
        table[transparency] = 0
    else:
        table[: len(transparency)] = list(transparency)
    assert result.mode == "RGBA"
    assert error(np.asarray(result)[..., 3], table[indexes]) == 0
    assert error(np.asarray(result)[..., :3], image.convert("RGB")) == 0


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_with_one_transparent_value(bits):
    values = np.arange(16).reshape(2, 8) % (1 << bits)
    samples = [np.packbits(np.unpackbits(row[:, None].astype(np.uint8), axis=1)[:, -bits:]).tobytes() for row in values]
    transparent = (1 << bits) - 1
    result = pixels(png(8, 2, bits, 0, samples, (b"tRNS", struct.pack(">H", transparent))))
    assert (result[..., 3] == np.where(values == transparent, 0, 255)).all()
    assert (result[..., 0] == values * 255 // ((1 << bits) - 1)).all()


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    values = np.array([[0, 255, 256, 0x1234, 0x8000, 0xFFFF]], ">u2")
    result = pixels(png(6, 1, 16, 0, [values.tobytes()]))
    assert result.shape == (1, 6, 3)
    assert (result[0, :, 1] == [0, 0, 1, 0x12, 0x80, 0xFF]).all()


def test_sixteen_bit_grey_with_one_transparent_value():
    values = np.array([[0x1234, 0x1235, 0x8000]], ">u2")
    result = pixels(png(3, 1, 16, 0, [values.tobytes()], (b"tRNS", b"\x12\x34")))
    assert result.tolist() == [[[0x12] * 3 + [0], [0x12] * 3 + [255], [0x80] * 3 + [255]]]


def test_eight_bit_rgb_with_one_transparent_colour():
    result = pixels(png(3, 1, 8, 2, [bytes([1, 2, 3, 1, 2, 4, 9, 9, 9])], (b"tRNS", struct.pack(">HHH", 1, 2, 3))))
    assert result.tolist() == [[[1, 2, 3, 0], [1, 2, 4, 255], [9, 9, 9, 255]]]


def test_sixteen_bit_rgb_with_one_transparent_colour():
    row = np.array([0x1234, 0x5678, 0x9ABC, 0xFFFF, 0, 0], ">u2").tobytes()
    result = pixels(png(2, 1, 16, 2, [row], (b"tRNS", struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC))))
    assert result.tolist() == [[[0x12, 0x56, 0x9A, 0], [0xFF, 0, 0, 255]]]


def test_sixteen_bit_rgba_and_grey_with_alpha():
    row = np.array([0x1234, 0x5678, 0x9ABC, 0x8000], ">u2").tobytes()
    assert pixels(png(1, 1, 16, 6, [row])).tolist() == [[[0x12, 0x56, 0x9A, 0x80]]]
    row = np.array([0x1234, 0x8000], ">u2").tobytes()
    assert pixels(png(1, 1, 16, 4, [row])).tolist() == [[[0x12, 0x12, 0x12, 0x80]]]


def test_a_grey_profile_is_applied_and_dropped():
    image = photo().convert("L")
    result = decoded(file_bytes(image, icc_profile=grey_profile()))
    assert result.icc_profile is None
    assert 0 < error(np.asarray(result.pixels)[..., 0], image) < 5  # a gamma of 2.2 is almost sRGB's curve
    with_alpha = photo(mode="RGBA").convert("LA")
    result = decoded(file_bytes(with_alpha, icc_profile=grey_profile()))
    assert error(result.pixels.getchannel("A"), with_alpha.getchannel("A")) == 0


@pytest.mark.parametrize("space", [b"GRAY", b"CMYK", b"Lab ", b"XXXX"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_profile_that_does_not_fit_or_is_broken_is_dropped(mode, space):
    data = file_bytes(photo().convert(mode), "JPEG", icc_profile=as_space(space))
    assert decoded(data).icc_profile is None


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_rgb_profile_is_kept_byte_for_byte(format, mode):
    profile = SRGB + b"anything behind it"
    assert decoded(file_bytes(photo(mode=mode), format, icc_profile=profile)).icc_profile == profile


def test_a_large_profile_in_a_png():
    profile = SRGB + bytes(3 * 1024 * 1024)
    assert decoded(file_bytes(photo(), icc_profile=profile)).icc_profile == profile


def test_a_profile_too_short_to_be_one_is_dropped():
    assert decoded(file_bytes(photo(), icc_profile=b"abc")).icc_profile is None


def test_cmyk_as_adobe_writes_it():
    image = photo((160, 120))
    cmyk = image.convert("CMYK")
    result = decoded(file_bytes(cmyk, "JPEG", quality=95))  # Pillow writes the Adobe marker and inverts
    assert result.pixels.mode == "RGB"
    assert error(result.pixels, image) < 6


def test_ycck():
    image = photo((160, 120))
    stored = [*ImageChops.invert(image).convert("YCbCr").split(), Image.new("L", image.size, 255)]
    # Pillow writes inverted samples, and a marker that says CMYK: make it say YCCK (Adobe TN 5116, section 18).
    data = bytearray(file_bytes(Image.merge("CMYK", [ImageChops.invert(band) for band in stored]), "JPEG", quality=95))
    data[data.index(b"Adobe") + 11] = 2
    assert error(decoded(bytes(data)).pixels, image) < 12


def test_cmyk_through_its_profile():
    # A CMYK profile cannot be made here: sRGB's tables do not fit under that name; it must fall back to the plain formula.
    image = photo((160, 120))
    data = file_bytes(image.convert("CMYK"), "JPEG", quality=95, icc_profile=as_space(b"CMYK"))
    assert error(decoded(data).pixels, image) < 6


def test_cmyk_goes_through_the_colour_management_if_it_can(monkeypatch):
    used = []

    def convert(image, source, target, outputMode):
        used.append((image.mode, outputMode))
        return Image.new("RGB", image.size, "red")

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    data = file_bytes(photo().convert("CMYK"), "JPEG", icc_profile=as_space(b"CMYK"))
    assert decoded(data).pixels.getpixel((0, 0)) == (255, 0, 0)
    assert used == [("CMYK", "RGB")]


PALETTE = bytes(value for index in range(256) for value in (255 - index, index, index // 2, 0))


@pytest.mark.parametrize(
    ("bits", "row", "palette", "expected"),
    [
        (1, b"\x80", PALETTE[:8], [[254, 1, 0], [255, 0, 0]]),
        (4, b"\x12", PALETTE[:64], [[1, 1, 254], [1, 2, 253]]),
        (8, b"\x01\x02", PALETTE, [[0, 1, 254], [1, 2, 253]]),
        (16, b"\x00\x7c\xe0\x03", b"", [[255, 0, 0], [0, 255, 0]]),
        (24, b"\x01\x02\x03\x04\x05\x06", b"", [[3, 2, 1], [6, 5, 4]]),
        (32, b"\x01\x02\x03\x00\x04\x05\x06\x00", b"", [[3, 2, 1], [6, 5, 4]]),
    ],
)
def test_bmp_of_every_depth(bits, row, palette, expected):
    result = pixels(bmp(2, 1, bits, [row], palette))
    assert result.shape == (1, 2, 3)
    if bits == 1:
        expected = [[0, 1, 254], [0, 0, 255]]
    elif bits == 4:
        expected = [[0, 1, 254], [1, 2, 253]]
    assert result.tolist() == [expected]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "JPEG"])
def test_a_single_pixel(format):
    assert decoded(file_bytes(Image.new("RGB", (1, 1), "white"), format)).pixels.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_the_first_frame_of_an_animation(format):
    frames = [Image.new("RGBA", (20, 10), color) for color in ("red", "lime", "blue")]
    data = file_bytes(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
    assert decoded(data).pixels.convert("RGB").getpixel((5, 5)) == (255, 0, 0)


def test_the_first_image_of_a_phone():
    data = file_bytes(photo(), "MPO", save_all=True, append_images=[photo(seed=1)], quality=95, subsampling=0)
    assert error(decoded(data).pixels, photo()) < 5


@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(format, orientation):
    upright = photo((40, 24)).resize((160, 96), Image.Resampling.BICUBIC)
    # How a camera held that way stores it: the inverse of what the tag asks for (EXIF 2.32, tag 0x0112).
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: a.swapaxes(0, 1)[:, ::-1],
    }[orientation](np.asarray(upright))
    data = file_bytes(Image.fromarray(np.ascontiguousarray(stored)), format, exif=exif(orientation))
    result = decoded(data)
    assert result.pixels.size == (160, 96)
    assert error(result.pixels, upright) < 8


def test_metadata_is_gone():
    assert decoded(file_bytes(photo(), "JPEG", comment=b"secret", exif=exif(1), xmp=b"<x/>", dpi=(72, 72))).pixels.info == {}


@pytest.mark.parametrize("lie", [(63, 48), (65, 48), (64, 47), (10_000, 10_000)])
@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "JPEG"])
def test_an_image_that_is_not_what_its_header_said_is_refused(format, lie):
    with pytest.raises(ImageRefused) as refusal:
        decode(io.BytesIO(file_bytes(photo(), format)), ImageHeader(format, lie[0], lie[1], 1))
    (problem,) = refusal.value.problems
    assert (problem.field, problem.code) == ("image", "invalid_image")
    assert problem.message == "File does not appear to be a valid image (invalid file signature)"


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "JPEG"])
def test_a_truncated_file_is_refused(format):
    data = file_bytes(photo((200, 200)), format)[:-2000]
    header, problems = check(data)
    if header is not None:
        with pytest.raises(ImageRefused) as refusal:
            decode(io.BytesIO(data), header)
        problems = list(refusal.value.problems)
    assert [problem.code for problem in problems] == ["invalid_image"]


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_webp_whose_size_is_wrong_or_whose_last_byte_is_missing(mode, lossless):
    # A profile makes the long form of the header; sizes of chunks are odd and even.
    for profile in (None, SRGB):
        for size in ((64, 48), (60, 47), (33, 21)):
            data = file_bytes(photo(size, mode), "WEBP", lossless=lossless, icc_profile=profile)
            whole = pixels(data)
            for wrong in (-8, -1, 1, 2, 1000):
                length = struct.pack("<I", len(data) - 8 + wrong)
                assert (pixels(data[:4] + length + data[8:]) == whole).all()
            assert error(pixels(data[:-1]), whole) < 0.5
            with pytest.raises(ImageRefused):
                decoded(data[: -len(data) // 4])


def test_running_out_of_memory_is_not_the_images_fault(monkeypatch):
    def fail(*_):
        raise MemoryError

    data = file_bytes(photo())
    header, _ = check(data)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", fail)
    with pytest.raises(MemoryError):
        decode(io.BytesIO(data), header)


SAMPLES = [
    file_bytes(photo((24, 16)), "PNG", exif=exif(6)),
    file_bytes(photo((24, 16)).quantize(16), "PNG", transparency=3),
    file_bytes(photo((24, 16)), "JPEG", exif=exif(6), comment=b"hello"),
    file_bytes(photo((24, 16)).convert("CMYK"), "JPEG", progressive=True),
    file_bytes(photo((24, 16), "RGBA"), "WEBP", exif=exif(6)),
    file_bytes(photo((24, 16)), "WEBP", lossless=True),
    file_bytes(photo((24, 16)), "BMP"),
    file_bytes(photo((24, 16)).quantize(16), "BMP"),
    file_bytes(photo(), "PNG", save_all=True, append_images=[photo(seed=1)]),
    file_bytes(photo(), "WEBP", save_all=True, append_images=[photo(seed=1)]),
    file_bytes(photo(), "MPO", save_all=True, append_images=[photo(seed=1)]),
    file_bytes(photo().convert("L"), "PNG", icc_profile=grey_profile()),
]


# Pillow may warn about a broken file's contents before it decides.
@pytest.mark.filterwarnings("ignore::UserWarning")
@examples(200, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.sampled_from(SAMPLES),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    length=st.just(1.0) | st.floats(0, 1),
    tail=st.binary(max_size=20),
)
def test_a_broken_file_is_an_image_or_refused(data, flips, length, tail):
    broken = bytearray(data[: int(len(data) * length)] + tail)
    for place, value in flips:
        if broken:
            broken[int(place * len(broken))] = value
    header, problems = check(bytes(broken))
    if header is None:
        assert problems
        return
    if header.width * header.height > 1_000_000:
        return  # an image of another size, which takes long
    try:
        result = decode(io.BytesIO(bytes(broken)), header)
    except ImageRefused:
        return
    assert result.pixels.size == header.upright_size
    result.pixels.tobytes()
