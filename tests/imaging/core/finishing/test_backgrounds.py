"""What goes behind the subject: shadows, other images, and the photograph itself, blurred."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter

from imaging.core import strips
from imaging.core.codecs.headers import read_header
from imaging.core.finishing import background, shadow
from imaging.core.finishing.background import blurred, lay_on_image, shrunk
from imaging.core.finishing.shadow import add_shadow
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import BackgroundImage, cut_out
from tests.imaging.core.pictures import UniformModel, file_bytes, photo
from tests.imaging.core.test_srgb import ADOBE

BLACK = (0, 0, 0, 255)


def block(size=(200, 160), box=(70, 50, 130, 110), color=(200, 30, 30)):
    image = Image.new("RGBA", size)
    image.paste((*color, 255), box)
    return image


def shaded(image, **options):
    add_shadow(image, CutoutOptions(**options), BLACK)
    return np.asarray(image)


def test_a_drop_shadow_is_the_blurred_offset_alpha():
    options = {"shadow": "drop", "shadow_blur": (4.0, "px"), "shadow_offset": ((10.0, "px"), (20.0, "px"))}
    result = shaded(block(), shadow_opacity=50.0, **options)
    moved = Image.new("L", (200, 160))
    moved.paste(255, (80, 70, 140, 130))
    expected = np.asarray(moved.filter(ImageFilter.GaussianBlur(4)), float) / 2
    outside = np.asarray(block())[..., 3] == 0
    assert np.abs(result[..., 3] - expected)[outside].max() <= 3
    assert (result[outside][:, :3] == 0).all()
    assert (result[~outside] == (200, 30, 30, 255)).all()


def test_a_drop_shadows_defaults_grow_with_the_subject():
    reaches = []
    for scale in (1, 3):
        image = block((200 * scale, 160 * scale), tuple(scale * side for side in (70, 50, 130, 110)))
        below = shaded(image, shadow="drop")[:, 100 * scale, 3]
        reaches.append(np.nonzero(below > 5)[0].max() - 110 * scale + 1)
    assert reaches[1] == pytest.approx(3 * reaches[0], abs=3)


def test_a_contact_shadow_lies_at_the_ground_and_fades_away_from_it():
    # A table: a plate on two legs.
    image = Image.new("RGBA", (300, 200))
    image.paste((90, 90, 90, 255), (50, 40, 250, 60))
    for left in (60, 220):
        image.paste((90, 90, 90, 255), (left, 60, left + 20, 160))
    result = shaded(image, shadow="contact")[..., 3].astype(int)
    ground = result[161]
    assert ground[70] > 60
    assert ground[230] > 60
    assert ground[150] < 0.3 * ground[70]
    assert result[30:40].max() == 0
    below = result[161:, 70]
    assert (np.diff(below) <= 0).all()
    assert below[-1] < 0.1 * below[0]


@pytest.mark.parametrize("kind", ["drop", "contact"])
def test_a_shadow_has_its_colour_and_opacity(kind):
    image = block()
    add_shadow(image, CutoutOptions(shadow=kind, shadow_opacity=0.0), BLACK)
    assert image.tobytes() == block().tobytes()
    strong, weak = (shaded(block(), shadow=kind, shadow_opacity=opacity)[..., 3].astype(int) for opacity in (80.0, 20.0))
    assert strong.sum() > weak.sum()
    image = block()
    add_shadow(image, CutoutOptions(shadow=kind), (0, 0, 250, 255))
    added = (np.asarray(image)[..., 3] > 0) & (np.asarray(block())[..., 3] == 0)
    assert added.any()
    assert (np.asarray(image)[added][:, :3] == (0, 0, 250)).all()


@pytest.mark.parametrize("kind", ["drop", "contact"])
def test_shadows_in_strips_have_no_seams(kind, monkeypatch):
    whole = shaded(block(), shadow=kind)
    monkeypatch.setattr(shadow, "CACHED_PIXELS", 200 * 7)
    monkeypatch.setattr(strips, "_STRIP_PIXELS", 200 * 12)
    assert (shaded(block(), shadow=kind) == whole).all()


def test_an_image_covers_the_canvas_and_is_centred():
    stripes = Image.new("RGB", (300, 100), "red")
    stripes.paste("green", (100, 0, 200, 100))
    canvas = Image.new("RGBA", (50, 50))
    lay_on_image(canvas, stripes)
    assert canvas.getpixel((25, 25)) == (0, 128, 0, 255)
    # Interpolation overshoots a little next to a hard edge.
    assert np.abs(np.asarray(canvas, int)[2, 2] - (0, 128, 0, 255)).max() <= 2
    wide = Image.new("RGBA", (90, 30))
    lay_on_image(wide, stripes)
    assert [wide.getpixel((x, 15))[:3] for x in (5, 45, 85)] == [(255, 0, 0), (0, 128, 0), (255, 0, 0)]


@pytest.mark.parametrize("size", [(90, 70), (31, 200), (200, 31)])
def test_covering_in_strips_has_no_seams(size, monkeypatch):
    behind = photo((120, 80))
    whole = Image.new("RGBA", size)
    lay_on_image(whole, behind)
    monkeypatch.setattr(strips, "_STRIP_PIXELS", 120 * 9)
    canvas = Image.new("RGBA", size)
    lay_on_image(canvas, behind)
    # Pillow rounds to 8 bits between its two passes.
    assert np.abs(np.asarray(canvas, int) - np.asarray(whole, int)).max() <= 2


def test_an_image_of_the_same_size_is_itself():
    behind = photo((64, 48))
    canvas = Image.new("RGBA", behind.size)
    lay_on_image(canvas, behind)
    assert canvas.convert("RGB").tobytes() == behind.tobytes()


def test_a_background_is_kept_no_larger_than_needed():
    assert shrunk(photo((400, 300)), (40, 40)).size == (54, 40)
    assert shrunk(photo((40, 30)), (400, 300)).size == (40, 30)


def test_the_blurred_photograph_has_no_glow_of_the_subject():
    image = Image.new("RGB", (200, 200), (0, 90, 200))
    image.paste((255, 0, 0), (60, 60, 140, 140))
    matte = Image.new("L", image.size)
    matte.paste(255, (60, 60, 140, 140))
    result = np.asarray(blurred(image, matte, 50, 0), int)
    assert np.abs(result - (0, 90, 200)).max() <= 2


@pytest.mark.parametrize(
    ("angle", "size"), [(0, (90, 60)), (90, (60, 90)), (-90, (60, 90)), (100, (60, 90)), (180, (90, 60))]
)
def test_the_blurred_photograph_turns_by_quarters(angle, size):
    assert blurred(photo((90, 60)), Image.new("L", (90, 60)), 10, angle).size == size


def test_a_large_photograph_is_blurred_at_a_small_size(monkeypatch):
    monkeypatch.setattr(background, "_SIDE", 32)
    assert max(blurred(photo((90, 60)), Image.new("L", (90, 60)), 10, 0).size) <= 32


def on_image(behind, **options):
    data = file_bytes(photo())
    file = io.BytesIO(behind)
    wanted = CutoutOptions(background_image=True, **options)
    laid = BackgroundImage(file, read_header(file))
    result = cut_out(io.BytesIO(data), read_header(io.BytesIO(data)), wanted, UniformModel(0), background=laid)
    return Image.open(io.BytesIO(result.data))


def test_a_background_of_another_profile_keeps_its_looks():
    pixel = Image.new("RGB", (64, 48), (60, 200, 90))
    image = on_image(file_bytes(pixel, icc_profile=ADOBE), format="png")
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(ADOBE)), ImageCms.createProfile("sRGB")
    expected = ImageCms.profileToProfile(pixel, source, target, ImageCms.Intent.RELATIVE_COLORIMETRIC)
    assert expected is not None
    assert np.abs(np.asarray(image, int)[5, 5] - np.asarray(expected, int)[5, 5]).max() <= 2


def test_a_translucent_background_gives_a_translucent_result():
    behind = file_bytes(Image.new("RGBA", (64, 48), (9, 99, 199, 100)))
    assert on_image(behind, format="png").getpixel((5, 5)) == (9, 99, 199, 100)
    assert on_image(behind, format="jpeg").mode == "RGB"
