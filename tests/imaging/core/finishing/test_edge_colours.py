import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from imaging.core.canvas import in_own_memory
from imaging.core.cores import use_cores
from imaging.core.finishing import edge_colours
from imaging.core.finishing.edge_colours import decontaminate
from imaging.core.matting.matte import Prediction
from tests.imaging.core.pictures import cutout_of, file_bytes, opened, photo

SUBJECT, GROUND = (200, 40, 60), (20, 180, 240)


def soft_disc(size, blur=4):
    matte = Image.new("L", size)
    ImageDraw.Draw(matte).ellipse((size[0] // 5, size[1] // 5, size[0] * 4 // 5, size[1] * 4 // 5), fill=255)
    return matte.filter(ImageFilter.GaussianBlur(blur))


def scene(size=(150, 110), blur=4):
    matte = soft_disc(size, blur)
    return in_own_memory(Image.composite(Image.new("RGB", size, SUBJECT), Image.new("RGB", size, GROUND), matte)), matte


def edge_of(matte):
    values = np.asarray(matte)
    return (values > 0) & (values < 255)


def error(image, matte, subject=SUBJECT):
    """The mean error of a composite on any background: that of the colours, weighted by alpha."""
    share = np.asarray(matte, float)[..., np.newaxis] / 255
    return np.abs(share * (np.asarray(image, float)[..., :3] - subject))[edge_of(matte)].mean()


@pytest.mark.parametrize("size", [(150, 110), (700, 531), (301, 900)])
def test_the_old_background_leaves_the_edge(size):
    image, matte = scene(size)
    before = error(image, matte)
    decontaminate(image, matte)
    assert error(image, matte) < 0.1 * before


def test_all_other_pixels_keep_every_bit():
    image, matte = scene()
    original = np.asarray(image).copy()
    decontaminate(image, matte)
    unchanged = ~edge_of(matte)
    assert (np.asarray(image)[unchanged] == original[unchanged]).all()
    assert (np.asarray(image)[~unchanged] != original[~unchanged]).any()


def test_an_images_own_alpha_is_kept_and_its_hidden_colours_do_not_count():
    image, matte = scene()
    own = Image.new("L", image.size, 255)
    own.paste(0, (0, 0, 40, 110))
    image.putalpha(own)
    # What is under transparent pixels is often black, or anything.
    image.paste((255, 255, 0, 0), (0, 0, 40, 110))
    image = in_own_memory(image.copy())
    before = error(image, matte)
    decontaminate(image, matte)
    assert image.getchannel("A").tobytes() == own.tobytes()
    seen = Image.composite(matte, Image.new("L", image.size), own.crop((0, 0, *image.size)))
    assert error(image, seen) < 0.15 * before


def test_neither_strips_nor_cores_leave_seams(monkeypatch):
    image, matte = scene((400, 300))
    whole, shared = (in_own_memory(image.copy()) for _ in range(2))
    decontaminate(whole, matte)
    monkeypatch.setattr(edge_colours, "_STRIP_PIXELS", 400 * 6)
    decontaminate(image, matte)
    assert image.tobytes() == whole.tobytes()
    with use_cores(3):
        decontaminate(shared, matte)
    assert shared.tobytes() == whole.tobytes()


@pytest.mark.parametrize("alpha", [0, 1, 100, 254, 255])
def test_nothing_changes_where_nothing_is_certain(alpha):
    image = in_own_memory(photo())
    expected = image.tobytes()
    decontaminate(image, Image.new("L", image.size, alpha))
    assert image.tobytes() == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (60, 1), (2, 3), (513, 1), (257, 129)])
def test_any_size_is_fine(size):
    image = in_own_memory(photo(size))
    random = np.random.default_rng(1)
    decontaminate(image, Image.fromarray(random.integers(0, 256, size[::-1], np.uint8)))
    assert image.size == size


def undecided_tower():
    """A thin tower that the network is not sure of, on a brown foot that it is sure of, before the sky."""
    image, matte = Image.new("RGB", (120, 300), GROUND), Image.new("L", (120, 300))
    image.paste((70, 125, 130), (50, 30, 70, 270))
    matte.paste(110, (50, 30, 70, 270))
    image.paste((120, 70, 20), (40, 270, 80, 300))
    matte.paste(255, (40, 270, 80, 300))
    return in_own_memory(image), matte


def test_an_undecided_subject_keeps_its_colours_far_from_what_is_sure():
    image, matte = undecided_tower()
    decontaminate(image, matte)
    tower = np.asarray(image, int)[:, 50:70]
    assert (tower[30:220] == (70, 125, 130)).all()
    assert (tower[262:270] != (70, 125, 130)).any(axis=-1).all()
    # From one to the other without a step.
    assert np.abs(np.diff(tower[210:270, 10], axis=0)).max() <= 8


def test_a_subject_without_a_sure_pixel_keeps_its_colours():
    image, matte = undecided_tower()
    matte = matte.point([min(alpha, 200) for alpha in range(256)])
    original = image.tobytes()
    decontaminate(image, matte)
    assert image.tobytes() == original


def test_an_undecided_part_of_another_colour_keeps_it_next_to_what_is_sure():
    red = (220, 20, 20)
    image, matte = Image.new("RGB", (200, 200), GROUND), Image.new("L", (200, 200))
    for colour, alpha, box in (((60, 60, 60), 255, (60, 40, 140, 90)), (red, 140, (60, 90, 140, 110))):
        image.paste(colour, box)
        matte.paste(alpha, box)
    image = in_own_memory(image)
    decontaminate(image, matte)
    assert (np.asarray(image)[90:110, 60:140] == red).all()


class KnownModel:
    def __init__(self, matte):
        self.matte = matte

    def predict(self, image):
        return Prediction(self.matte.copy(), "known", 1.0)


def test_it_is_on_unless_switched_off_and_masks_are_unaffected():
    image, matte = scene()
    data, model = file_bytes(image), KnownModel(matte)
    clean, plain = (opened(cutout_of(data, model, format="png", decontaminate=on)) for on in (True, False))
    visible = np.asarray(matte) > 0
    assert (np.asarray(plain)[visible][:, :3] == np.asarray(image)[visible]).all()
    assert (np.asarray(clean)[..., 3] == np.asarray(matte)).all()
    assert error(clean, matte) < 0.1 * error(plain, matte)
    assert opened(cutout_of(data, model, format="png")).tobytes() == clean.tobytes()
    masks = [cutout_of(data, model, format="png", mask=True, decontaminate=on).data for on in (True, False)]
    assert masks[0] == masks[1]
