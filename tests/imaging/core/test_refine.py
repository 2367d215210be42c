"""Edges of a small matte, redrawn in images whose alpha is known."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from imaging.core.matting import refine
from imaging.core.matting.matte import Prediction
from imaging.core.matting.refine import enlarge
from tests.imaging.core.pictures import cutout_of, file_bytes, opened

SIZE = (1500, 1000)


def known_alpha(softness=1.0, size=SIZE):
    """A star: straight edges at many angles, and points."""
    across, down = size
    spokes = [(0.45, 0.2)[index % 2] for index in range(14)]
    angles = np.arange(14) * np.pi / 7
    points = [
        (across * (0.5 + r * np.cos(t) * 0.8), down * (0.5 + r * np.sin(t))) for r, t in zip(spokes, angles, strict=True)
    ]
    alpha = Image.new("L", size)
    ImageDraw.Draw(alpha).polygon(points, fill=255)
    return alpha.filter(ImageFilter.GaussianBlur(softness))


def composite(alpha, noise=4.0):
    """A warm subject on a varying blue ground, with camera noise."""
    down = np.linspace(0, 60, alpha.height)[:, None, None]
    share = np.asarray(alpha, float)[..., None] / 255
    pixels = share * ([210, 120, 60] - down / 2) + (1 - share) * np.add(down, [40, 70, 120])
    pixels += np.random.default_rng(0).normal(0, noise, (*pixels.shape[:2], 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def network_matte(alpha):
    """A network's matte of it: small, and a little blurred."""
    return alpha.resize((320, 320), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(1))


def error(matte, alpha):
    return np.abs(np.asarray(matte, float) - np.asarray(alpha, float)).sum() / 255


def both(alpha, image):
    return [enlarge(network_matte(alpha), image, refine=refined) for refined in (False, True)]


@pytest.mark.parametrize(("softness", "share"), [(1, 0.2), (4, 0.6), (8, 1.0)])
def test_edges_are_nearer_to_the_true_ones(softness, share):
    alpha = known_alpha(softness)
    plain, refined = both(alpha, composite(alpha))
    assert error(refined, alpha) < share * error(plain, alpha)


def test_soft_edges_stay_soft():
    alpha = known_alpha(12)
    _, refined = both(alpha, composite(alpha))
    between = [((np.asarray(matte) > 40) & (np.asarray(matte) < 215)).sum() for matte in (alpha, refined)]
    assert 0.8 < between[1] / between[0] < 1.25


def test_certain_areas_are_exactly_certain():
    alpha = known_alpha()
    _, refined = both(alpha, composite(alpha, noise=25))
    far = np.asarray(alpha.filter(ImageFilter.GaussianBlur(12)))
    assert set(np.asarray(refined)[far == 0]) == {0}
    assert set(np.asarray(refined)[far == 255]) == {255}


def test_where_the_colours_say_nothing_the_matte_stays():
    alpha = known_alpha()
    plain, refined = both(alpha, Image.new("RGB", SIZE, "grey"))
    assert np.percentile(np.abs(np.asarray(plain, int) - np.asarray(refined)), 99) <= 8


def test_haze_stays_haze():
    haze = Image.linear_gradient("L").resize((320, 320)).point([64 + grey // 4 for grey in range(256)])
    image = composite(known_alpha())
    plain, refined = (enlarge(haze, image, refine=wanted) for wanted in (False, True))
    assert np.abs(np.asarray(plain, int) - np.asarray(refined)).max() <= 8


@pytest.mark.parametrize("size", [(1501, 997), (500, 2100), (3000, 40), (1, 700)])
def test_strips_and_odd_sizes_leave_no_seam(size, monkeypatch):
    alpha = known_alpha(size=size)
    image = composite(alpha)
    whole = enlarge(network_matte(alpha), image, refine=True)
    assert whole.size == size
    monkeypatch.setattr(refine, "_STRIP_PIXELS", size[0] * 20)
    assert (np.asarray(enlarge(network_matte(alpha), image, refine=True)) == np.asarray(whole)).all()


def test_an_inputs_transparency_makes_no_difference():
    alpha = known_alpha()
    image = composite(alpha)
    transparent = image.copy()
    transparent.putalpha(alpha)
    mattes = [enlarge(network_matte(alpha), each, refine=True) for each in (image, transparent)]
    assert (np.asarray(mattes[0]) == np.asarray(mattes[1])).all()


def test_an_image_hardly_larger_than_the_matte_is_left_alone():
    alpha = known_alpha(size=(470, 300))
    plain, refined = both(alpha, composite(alpha))
    assert (np.asarray(plain) == np.asarray(refined)).all()


class SmallModel:
    name = "small"

    def predict(self, image):
        return Prediction(network_matte(known_alpha()), self.name, 1.0)


def test_cutouts_and_masks_have_the_refined_edge_unless_it_is_off():
    alpha = known_alpha()
    data = file_bytes(composite(alpha), "JPEG", quality=95)
    mask = opened(cutout_of(data, SmallModel(), format="png", mask=True))
    cutout = opened(cutout_of(data, SmallModel(), format="png"))
    plain = opened(cutout_of(data, SmallModel(), refine=False, format="png", mask=True))
    assert (np.asarray(mask) == np.asarray(cutout)[..., 3]).all()
    assert error(mask, alpha) < 0.5 * error(plain, alpha)
