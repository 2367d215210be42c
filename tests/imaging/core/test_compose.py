import numpy as np
import pytest
from PIL import Image

from imaging.core import strips
from imaging.core.compose import apply_matte, fill_background, resize, rotate
from imaging.core.finishing import finish
from imaging.core.matting.matte import Prediction
from imaging.core.options import CutoutOptions
from tests.imaging.core.pictures import EllipseModel, UniformModel, cutout_of, file_bytes, opened, photo


def array(image):
    return np.asarray(image, int)


@pytest.fixture
def thin_strips(monkeypatch):
    """Makes small images take several strips, as only large ones do."""
    monkeypatch.setattr(strips, "_STRIP_PIXELS", 64 * 7)


def test_the_matte_becomes_the_alpha_and_colours_stay_as_they_are():
    image = photo()
    matte = EllipseModel().predict(image).matte.resize(image.size)
    result = array(apply_matte(image.copy(), matte.copy()))
    visible = array(matte) > 0
    assert (result[..., 3] == array(matte)).all()
    assert (result[visible][:, :3] == array(image)[visible]).all()


def test_the_removed_background_is_not_in_the_image():
    result = array(opened(cutout_of(file_bytes(photo()), format="png")))
    removed = result[..., 3] == 0
    assert removed.any()
    assert (result[removed] == 0).all()


def test_the_removed_background_is_not_in_a_webp():
    white_on_red = Image.new("RGB", (128, 128), "red")
    white_on_red.paste("white", (32, 32, 96, 96))

    class Square:
        def predict(self, image):
            matte = Image.new("L", image.size)
            matte.paste(255, (32, 32, 96, 96))
            return Prediction(matte, "square", 1.0)

    result = array(opened(cutout_of(file_bytes(white_on_red), Square())).convert("RGBA"))
    red, green, blue, alpha = np.moveaxis(result, -1, 0)
    assert np.abs(red - green)[alpha == 0].max() < 10
    assert (result[alpha == 255] > 245).all()
    assert np.abs(red - blue).max() < 10


def test_an_inputs_own_transparency_is_multiplied_with_the_matte():
    image = photo(mode="RGBA")
    result = array(opened(cutout_of(file_bytes(image), UniformModel(128), format="png")))
    expected = array(image)[..., 3] * 128 / 255
    assert np.abs(result[..., 3] - expected).max() <= 1
    mask = array(opened(cutout_of(file_bytes(image), UniformModel(128), format="png", mask=True)))
    assert (mask == result[..., 3]).all()


@pytest.mark.parametrize("background", [(255, 0, 0, 255), (10, 200, 30, 128), (0, 0, 0, 0)])
@pytest.mark.parametrize("alpha", [0, 1, 100, 254, 255])
def test_the_background_is_composited_behind(background, alpha, thin_strips):
    image = photo((64, 40))
    data = cutout_of(file_bytes(image), UniformModel(alpha), format="png", background=background)
    result = array(opened(data).convert("RGBA"))
    front, back = alpha / 255, background[3] / 255
    over = front + back * (1 - front)  # Porter and Duff, "Compositing Digital Images", 1984
    assert np.abs(result[..., 3] - over * 255).max() <= 1
    if over > 0.1:
        expected = (array(image) * front + np.array(background[:3]) * back * (1 - front)) / over
        assert np.abs(result[..., :3] - expected).max() <= 2


def test_an_opaque_background_leaves_no_alpha_channel():
    assert opened(cutout_of(file_bytes(photo()), format="png", background=(1, 2, 3, 255))).mode == "RGB"


@pytest.mark.parametrize("format", ["jpeg", "bmp"])
def test_formats_without_alpha_are_flattened_on_white(format):
    image = opened(cutout_of(file_bytes(photo((80, 80))), format=format))
    assert image.mode == "RGB"
    assert np.abs(array(image)[0, 0] - 255).max() <= 3
    translucent = opened(cutout_of(file_bytes(photo((80, 80))), format=format, background=(255, 0, 0, 128)))
    assert np.abs(array(translucent)[0, 0] - [255, 127, 127]).max() <= 3
    opaque = opened(cutout_of(file_bytes(photo((80, 80))), format=format, background=(0, 0, 255, 255)))
    assert np.abs(array(opaque)[0, 0] - [0, 0, 255]).max() <= 3


@pytest.mark.parametrize(
    ("angle", "turns"), [(90, 1), (180, 2), (270, 3), (-90, 3), (-180, 2), (360, 0), (-360, 0), (0, 0), (-270, 1)]
)
def test_quarter_turns_are_counter_clockwise_and_exact(angle, turns):
    image = photo(mode="RGBA")
    assert (array(rotate(image.copy(), angle, True)) == np.rot90(array(image), turns)).all()


def test_a_quarter_turn_on_the_same_canvas_crops_and_pads_about_the_centre():
    image = photo((60, 40), "RGBA")
    result = array(rotate(image.copy(), 90, False))
    turned = np.rot90(array(image))
    assert result.shape == (40, 60, 4)
    assert (result[:, 10:50] == turned[10:50]).all()
    assert (result[:, :10] == 0).all()
    assert (result[:, 50:] == 0).all()


@pytest.mark.parametrize("mode", ["RGBA", "L"])
@pytest.mark.parametrize("angle", [30, 45, -100])
@pytest.mark.parametrize("expand", [True, False])
def test_other_angles_agree_with_pillow(mode, angle, expand, thin_strips):
    smooth = photo((12, 9), "RGBA" if mode == "RGBA" else "RGB").resize((120, 90), Image.Resampling.BICUBIC).convert(mode)
    ours = rotate(smooth.copy(), angle, expand)
    theirs = smooth.rotate(angle, Image.Resampling.BICUBIC, expand=expand)
    # Pillow rounds its canvas differently, by up to two pixels, about the same centre.
    box = [(theirs.width - ours.width) / 2, (theirs.height - ours.height) / 2]
    box += [box[0] + ours.width, box[1] + ours.height]
    theirs = theirs.transform(ours.size, Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
    premultiplied = [array(image.convert("RGBa")) if mode == "RGBA" else array(image) for image in (ours, theirs)]
    assert np.abs(premultiplied[0] - premultiplied[1]).mean() < 2


def test_bared_canvas_is_transparent_or_black_or_the_background():
    data = file_bytes(photo((80, 80)))
    cutout = opened(cutout_of(data, UniformModel(), format="png", angle=45))
    assert cutout.getpixel((0, 0)) == (0, 0, 0, 0)
    assert cutout.getpixel((56, 56))[3] == 255
    mask = opened(cutout_of(data, UniformModel(), format="png", angle=45, mask=True))
    assert mask.mode == "L"
    assert (mask.getpixel((0, 0)), mask.getpixel((56, 56))) == (0, 255)
    red = opened(cutout_of(data, UniformModel(), format="png", angle=45, background=(255, 0, 0, 255)))
    assert red.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("step", [lambda image: rotate(image, 33, True), lambda image: resize(image, (150, 90))])
def test_transparent_pixels_lend_no_colour_to_the_edge(step):
    image = Image.new("RGBA", (64, 64), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (16, 16, 48, 48))
    result = array(step(image))
    visible = result[result[..., 3] > 8]
    assert visible[:, 1].max() == 0
    assert visible[:, 0].min() > 200


@pytest.mark.parametrize("size", [(30, 20), (200, 150), (64, 9), (1, 1), (7, 300)])
@pytest.mark.parametrize("mode", ["RGBA", "L"])
def test_resizing_in_strips_is_resizing(size, mode, thin_strips):
    image = photo((64, 120), "RGBA").convert(mode)
    resized = [resize(image.copy(), size), image.resize(size, Image.Resampling.LANCZOS)]
    ours, theirs = (array(each.convert("RGBa") if mode == "RGBA" else each) for each in resized)
    # Pillow rounds to 8 bits between its two passes, whose order depends on the shape of what it resizes.
    assert np.abs(ours - theirs).mean() < 0.5
    assert np.abs(ours - theirs).max() <= 6


def test_the_same_size_is_the_same_image():
    image = photo(mode="RGBA")
    assert resize(image, image.size) is image
    assert rotate(image, 0, True) is image


def test_the_order_is_cut_out_then_rotate_then_resize_then_background():
    image = opened(cutout_of(file_bytes(photo((80, 40))), format="png", angle=90, width=100, background=(0, 0, 255, 255)))
    assert image.size == (100, 200)
    assert image.getpixel((0, 0)) == (0, 0, 255)


def test_a_mask_is_made_without_colours(monkeypatch):
    def fail(*_):
        raise AssertionError("composed in colour")

    monkeypatch.setattr(finish, "apply_matte", fail)
    monkeypatch.setattr(finish, "fill_background", fail)
    for format in ("png", "webp", "jpeg", "bmp"):
        mask = opened(cutout_of(file_bytes(photo()), format=format, mask=True, angle=10, width=33))
        assert mask.mode == ("RGB" if format == "webp" else "L")


def test_the_options_decide_what_goes_behind():
    assert finish._background_layers(CutoutOptions()) == []
    assert finish._background_layers(CutoutOptions(format="jpeg")) == [(255, 255, 255, 255)]
    assert len(finish._background_layers(CutoutOptions(format="bmp", background=(1, 2, 3, 4)))) == 2


def test_filling_works_in_strips(thin_strips):
    image = photo((64, 90), "RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", image.size, (9, 99, 199, 77)), image)
    fill_background(image, (9, 99, 199, 77))
    assert (array(image) == array(expected)).all()
