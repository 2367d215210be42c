import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from imaging.core.codecs import libwebp
from imaging.core.codecs import webp_writer as webp
from imaging.core.codecs.encode import MEDIA_TYPES, encode
from tests.imaging.core.pictures import FORMATS, EllipseModel, cutout_of, exif, file_bytes, opened, photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def array(image):
    return np.asarray(image, int)


@pytest.mark.parametrize("format", FORMATS)
def test_the_file_is_what_it_is_said_to_be(format):
    cutout = cutout_of(file_bytes(photo()), format=format)
    image = opened(cutout)
    assert image.format == format.upper()
    assert (cutout.media_type, cutout.extension) == (MEDIA_TYPES[format], format)
    assert image.mode == ("RGBA" if format in ("webp", "png") else "RGB")


@pytest.mark.parametrize("format", FORMATS)
def test_no_metadata_gets_through(format):
    secrets = {
        "JPEG": {"comment": b"SECRET", "exif": exif(1), "xmp": b"<x:xmpmeta>SECRET</x:xmpmeta>", "dpi": (301, 301)},
        "PNG": {"exif": exif(1)},
        "WEBP": {"exif": exif(1), "xmp": b"SECRET"},
    }
    for source, metadata in secrets.items():
        image = photo()
        image.info = {"Author": "SECRET"}
        cutout = cutout_of(file_bytes(image, source, **metadata), format=format)
        assert b"SECRET" not in cutout.data
        assert b"ACME" not in cutout.data
        result = opened(cutout)
        assert not result.getexif()
        assert not {"comment", "exif", "xmp", "icc_profile", "photoshop", "Author"} & set(result.info)


def test_text_in_a_png_is_dropped():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Author", "SECRET")
    info.add_itxt("XML:com.adobe.xmp", "SECRET")
    assert b"SECRET" not in cutout_of(file_bytes(photo(), pnginfo=info), format="png").data


@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_the_profile_is_kept_byte_for_byte(source, format):
    profile = SRGB + bytes(range(256)) * 300  # more than one segment of a JPEG
    data = file_bytes(photo(), source, icc_profile=profile)
    assert opened(cutout_of(data, format=format)).info["icc_profile"] == profile
    assert opened(cutout_of(data, format=format, background=(1, 2, 3, 255))).info["icc_profile"] == profile
    assert "icc_profile" not in opened(cutout_of(data, format=format, mask=True)).info


@pytest.mark.parametrize("format", FORMATS)
def test_a_mask_comes_back_grey(format):
    mask = EllipseModel().predict(photo((90, 70))).matte.resize((45, 35), Image.Resampling.BILINEAR)
    result = Image.open(encode(mask.copy(), format, None))
    assert result.mode == ("RGB" if format == "webp" else "L")
    channels = array(result.convert("RGB"))
    assert (channels == channels[..., :1]).all()
    assert np.abs(channels[..., 0] - array(mask)).max() <= (20 if format == "jpeg" else 0)


@pytest.mark.parametrize("format", ["webp", "png"])
def test_alpha_is_lossless(format):
    image = photo((90, 70), "RGBA")
    result = Image.open(encode(image.copy(), format, None))
    assert (array(result)[..., 3] == array(image)[..., 3]).all()


def test_hard_edges_keep_their_colour_in_a_webp():
    disc = Image.new("RGB", (200, 200), (230, 40, 40))
    cutout = cutout_of(file_bytes(disc))
    result = array(opened(cutout))
    difference = np.abs(result[result[..., 3] == 255][:, :3] - [230, 40, 40])
    assert np.percentile(difference, 99) < 8  # libwebp alone: 35
    assert difference.max() < 40  # libwebp alone: 71


def test_an_opaque_webp_has_no_alpha():
    assert opened(cutout_of(file_bytes(photo()), background=(1, 2, 3, 255))).mode == "RGB"
    image = photo(mode="RGBA")
    image.putalpha(255)
    assert Image.open(encode(image, "webp", SRGB)).info["icc_profile"] == SRGB


def test_what_is_too_detailed_for_the_first_settings_is_encoded_with_the_next(monkeypatch):
    tried = []
    encode_colours = libwebp.encode_colours

    def refuse_the_first(library, image, quality, method):
        tried.append((quality, method))
        if len(tried) < 3:
            raise libwebp.EncodingFailed("encoding error 6")
        return encode_colours(library, image, quality, method)

    monkeypatch.setattr(libwebp, "encode_colours", refuse_the_first)
    assert opened(cutout_of(file_bytes(photo()))).size == (64, 48)
    assert tried == [(85, 1), (85, 2), (50, 2)]


@pytest.mark.parametrize("through_pillow", [False, True])
def test_the_encoder_says_so_when_it_refuses_an_image(monkeypatch, through_pillow):
    # The message that we match, from the real encoder: 16384 is one pixel too many, error 5.
    if through_pillow:
        monkeypatch.setattr(libwebp, "find_library", lambda: None)
    with pytest.raises(ValueError, match=r"^encoding error 5\b"):
        webp.encode_webp(Image.new("RGB", (16_384, 1)), None)


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (1, 1), (2000, 2101)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("profile", [None, SRGB], ids=["no profile", "sRGB"])
def test_libwebp_called_directly_gives_the_file_that_pillow_gives(monkeypatch, size, mode, profile):
    assert libwebp.find_library() is not None
    image = photo(mode=mode).resize(size)
    direct = webp.encode_webp(image.copy(), profile)
    monkeypatch.setattr(libwebp, "find_library", lambda: None)
    assert webp.encode_webp(image, profile) == direct
    if mode == "RGB":
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=85, method=1, icc_profile=profile)
        assert buffer.getvalue() == direct


def test_the_steps_are_timed():
    cutout = cutout_of(file_bytes(photo()))
    assert list(cutout.timings) == ["decode", "inference", "compose", "encode"]
    assert all(seconds >= 0 for seconds in cutout.timings.values())
    assert cutout.model == "ellipse"
