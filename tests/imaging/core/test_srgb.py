"""Colours that callers give are sRGB, whatever profile the image has; a format without profiles is delivered in sRGB."""

import numpy as np
import pytest
from PIL import Image

from imaging.core.codecs.srgb import color_in_profile, convert_colours
from tests.imaging.core.pictures import FORMATS, EllipseModel, UniformModel, cutout_of, decoded, file_bytes, opened, photo
from tests.imaging.core.profiles import ADOBE_RGB, DISPLAY_P3, SRGB, grey_profile, icc_profile, program, rgb_profile, seen

BLUE, WHITE = (0x33, 0x66, 0xCC, 255), (255, 255, 255, 255)
P3, ADOBE = rgb_profile(DISPLAY_P3), rgb_profile(ADOBE_RGB)
UNUSABLE = {
    "no profile at all": b"x" * 200,
    "cut off": P3[:140],
    "without curves": icc_profile(),
    "of nothing": icc_profile((b"rXYZ", b""), (b"gXYZ", b""), (b"bXYZ", b"")),
    "half a table": icc_profile((b"A2B0", b"mft1")),
}


@pytest.mark.parametrize("profile", [P3, ADOBE], ids=["P3", "Adobe RGB"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_background_is_seen_in_the_colour_that_was_sent(profile, format):
    image = file_bytes(photo((80, 80)), icc_profile=profile)
    for color in (BLUE, (240, 200, 120, 255), (90, 90, 90, 255)):
        result = seen(opened(cutout_of(image, UniformModel(0), format=format, background=color)))
        assert np.abs(result - color[:3]).max() <= (6 if format in ("webp", "jpeg") else 2)


def test_a_wide_profile_changes_the_number_that_stands_for_a_colour():
    assert color_in_profile(BLUE, P3) == (66, 101, 196, 255)
    assert color_in_profile((*BLUE[:3], 77), P3)[3] == 77
    assert color_in_profile(BLUE, None) == BLUE


def test_a_translucent_background_keeps_its_alpha():
    image = file_bytes(photo((80, 80)), icc_profile=P3)
    result = opened(cutout_of(image, UniformModel(0), format="png", background=(*BLUE[:3], 128)))
    assert result.getpixel((5, 5)) == (66, 101, 196, 128)


@pytest.mark.parametrize("profile", [P3, ADOBE, SRGB], ids=["P3", "Adobe RGB", "sRGB"])
@pytest.mark.parametrize("format", ["jpeg", "bmp"])
def test_flattened_on_white_is_white(profile, format):
    image = opened(cutout_of(file_bytes(photo((80, 80)), icc_profile=profile), UniformModel(0), format=format))
    assert (np.asarray(image) == 255).all()
    assert color_in_profile(WHITE, profile) == WHITE


def test_a_profile_of_srgb_changes_nothing():
    """Rounding alone would: brand colours are compared by their numbers."""
    image = photo((80, 60))
    for color in ((0x33, 0x66, 0xCC, 255), (1, 2, 3, 255), (254, 1, 128, 40)):
        assert color_in_profile(color, SRGB) == color
    for format in ("png", "bmp"):
        results = [cutout_of(file_bytes(image, icc_profile=profile), format=format) for profile in (SRGB, None)]
        one, other = (np.asarray(opened(result)) for result in results)
        assert (one == other).all()


@pytest.mark.parametrize("name", UNUSABLE)
def test_with_a_profile_that_cannot_be_used_colours_stay_as_they_are(name):
    profile = UNUSABLE[name]
    assert color_in_profile(BLUE, profile) == BLUE
    image = photo(mode="RGBA")
    same = image.copy()
    convert_colours(same, profile, None)
    assert same.tobytes() == image.tobytes()
    for format in FORMATS:
        cutout_of(file_bytes(image.convert("RGB"), icc_profile=profile), format=format, background=BLUE)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_on_an_image_that_comes_in_srgb_a_background_keeps_its_numbers(mode):
    image = photo((80, 80)).convert(mode)
    data = file_bytes(image, "JPEG", icc_profile=grey_profile(1.8) if mode == "L" else None)
    assert opened(cutout_of(data, UniformModel(0), format="png", background=BLUE)).getpixel((5, 5)) == BLUE[:3]


def test_a_bmp_is_seen_as_the_image_was():
    image = photo((80, 60))
    profiled = image.copy()
    profiled.info["icc_profile"] = P3
    result = opened(cutout_of(file_bytes(image, icc_profile=P3), format="bmp"))
    assert "icc_profile" not in result.info
    inside = np.asarray(EllipseModel().predict(image).matte) == 255
    assert np.abs(seen(result) - seen(profiled))[inside].max() <= 1
    assert np.abs(seen(profiled) - np.asarray(image, int))[inside].max() > 20
    assert result.getpixel((0, 0)) == (255, 255, 255)


def test_a_mask_has_no_colours_to_convert():
    masks = [
        cutout_of(file_bytes(photo(), icc_profile=profile), UniformModel(99), format="bmp", mask=True)
        for profile in (P3, None)
    ]
    assert masks[0].data == masks[1].data


def test_converting_keeps_alpha_and_takes_no_second_image():
    image = Image.new("RGBA", (7, 5), (0, 255, 0, 33))
    storage = image.im
    convert_colours(image, ADOBE, None)
    assert image.im is storage
    assert image.getpixel((3, 3)) == (0, 255, 0, 33), "the nearest green that sRGB has"
    image.paste((160, 120, 120, 33), (0, 0, 7, 5))
    convert_colours(image, ADOBE, None)
    red, green, blue, alpha = image.getpixel((3, 3))
    assert (red > 165, abs(green - 120) < 3, abs(blue - 120) < 3, alpha) == (True, True, True, 33)


def test_programs_in_a_profile_are_not_run():
    """They may be as long as the file; browsers do not know them either."""
    tags = ((b"D2B1", program(3, 0.2)), (b"B2D1", program(3, 0.2)), (b"D2B0", program(3, 0.2)), (b"B2D0", program(3, 0.2)))
    assert color_in_profile(BLUE, rgb_profile(DISPLAY_P3, *tags)) == color_in_profile(BLUE, P3)
    grey = Image.linear_gradient("L").crop((0, 0, 64, 256))
    plain, programmed = (
        decoded(file_bytes(grey, icc_profile=grey_profile(1.0, *more))).pixels
        for more in ((), ((b"D2B0", program(1, 0.2)), (b"D2B1", program(1, 0.2))))
    )
    assert plain.tobytes() == programmed.tobytes()
    assert plain.getpixel((0, 128)) != (128, 128, 128)
