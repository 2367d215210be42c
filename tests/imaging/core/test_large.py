"""Large images take other paths through memory, to the same bytes. Here every image counts as large."""

import io

import pytest
from PIL import Image, ImageCms

from imaging.core import memory
from imaging.core.canvas import in_mode, new_image
from imaging.core.codecs.encode import encode
from tests.imaging.core.pictures import FORMATS, cutout_of, exif, file_bytes, photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SOURCES = {
    "JPEG with a profile": lambda: file_bytes(photo(), "JPEG", icc_profile=SRGB, quality=95),
    "JPEG on its side": lambda: file_bytes(photo(), "JPEG", exif=exif(6)),
    "grey JPEG": lambda: file_bytes(photo().convert("L"), "JPEG"),
    "CMYK JPEG": lambda: file_bytes(photo().convert("CMYK"), "JPEG"),
    "PNG": lambda: file_bytes(photo(), icc_profile=SRGB),
    "PNG with alpha": lambda: file_bytes(photo(mode="RGBA")),
    "PNG with a palette": lambda: file_bytes(photo().quantize(16)),
    "PNG with a transparent colour": lambda: file_bytes(photo(), transparency=photo().getpixel((0, 0))),
    "WebP": lambda: file_bytes(photo(), "WEBP", lossless=True),
    "BMP": lambda: file_bytes(photo(), "BMP"),
}
OPTIONS: dict[str, dict] = {
    "plain": {},
    "on red": {"background": (255, 0, 0, 255)},
    "turned": {"angle": 30.0},
    "mask": {"mask": True},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_result_is_that_of_any_other_image(monkeypatch, source, options, format):
    data = SOURCES[source]()
    expected = cutout_of(data, format=format, **OPTIONS[options])
    monkeypatch.setattr(memory, "LARGE_PIXELS", 1)
    result = cutout_of(data, format=format, **OPTIONS[options])
    with result.content:
        assert result.data == expected.data
        assert result.size == len(expected.data)


def test_a_large_result_is_on_the_disk_and_a_small_one_in_memory(monkeypatch):
    assert isinstance(encode(photo(), "bmp", None), io.BytesIO)
    monkeypatch.setattr(memory, "LARGE_PIXELS", 1)
    with encode(photo(), "bmp", None) as file:
        assert file.fileno() > 0
        assert Image.open(file).size == photo().size


def test_nothing_stays_open_when_a_large_image_cannot_be_encoded(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "LARGE_PIXELS", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ValueError, match="encoding error 5"):
        encode(Image.new("RGB", (16_384, 1)), "webp", None)
    assert not list(tmp_path.iterdir())


def test_rgb_and_rgba_share_their_memory():
    image = new_image("RGB", (3, 2))
    image.paste((1, 2, 3), (0, 0, 3, 2))
    cutout = in_mode(image, "RGBA")
    cutout.putalpha(Image.new("L", (3, 2), 77))
    assert cutout.getpixel((2, 1)) == (1, 2, 3, 77)
    cutout.paste((9, 9, 9, 9), (0, 0, 1, 1))
    assert in_mode(cutout, "RGB").getpixel((0, 0)) == image.getpixel((0, 0)) == (9, 9, 9)


def test_an_image_of_pillows_own_is_converted():
    image = photo(mode="RGBA")
    converted = in_mode(image.copy(), "RGB")
    assert converted.mode == "RGB"
    assert converted.tobytes() == image.convert("RGB").tobytes()
