"""Sheets of cutouts to look at: edges.png, shadows.png, looks.png and composites.webp in var/bench/sheets.

    python -m tests.bench.sheets

Edges: photographs on white, black, blue and another photograph, with the colours as they were and with `decontaminate`.
Looks: all photographs of skimage, cut out with `detail=fast` and `auto`.
Composites: skimage's subjects at a third of the frame, with `fast` and `auto`, and the true cutout: the sheet of
docs/benchmarks.md.
Shadows: both kinds under five products: two photographs, a bottle, a table, and a ball in the air.
"""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from skimage import data

from imaging.core.codecs.headers import read_header
from imaging.core.matting.matte import MatteModel, Prediction
from imaging.core.options import CutoutOptions
from imaging.core.pipeline import cut_out
from imaging.core.weights.serving import load_native
from tests.bench.composites import PARTS, SIDE, Composite, background, composite, find_subjects
from tests.bench.results import FOLDER

SHEETS = FOLDER.parent / "sheets"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
GROUNDS: Mapping[str, str | tuple[int, int, int]] = {
    "white": "white",
    "black": "black",
    "blue": (0, 80, 255),
    "grass": "grass",
}
SOURCES = {"motorcycle": lambda: data.stereo_motorcycle()[0]}
LOOKED = (
    "astronaut", "chelsea", "coffee", "rocket", "camera", "motorcycle", "clock", "cell", "retina", "logo", "moon",
    "immunohistochemistry", "coins", "colorwheel",
)  # fmt: skip
CELL = 360
GREY = (200, 200, 200, 255)


def main() -> None:
    SHEETS.mkdir(parents=True, exist_ok=True)
    model = load_native("u2net", threads=2)
    edges = [edge_row(photograph(name), model) for name in PHOTOGRAPHS]
    save("edges.png", edges)
    save(
        "looks.png", [[image for name in LOOKED[at : at + 2] for image in look_pair(name, model)] for at in range(0, 14, 2)]
    )
    save("composites.webp", [composite_row(one, model) for one in chosen_composites(model)])
    shadows = [shadow_row(photograph(name), model) for name in ("coffee", "astronaut")]
    save("shadows.png", [*shadows, *(shadow_row(*product()) for product in PRODUCTS)])


def photograph(name: str) -> Image.Image:
    return Image.fromarray(getattr(data, name)()).convert("RGB")


def edge_row(image: Image.Image, model: MatteModel) -> list[Image.Image]:
    """On each ground, before and after."""
    before, after = (cutout(image, model, CutoutOptions(format="png", decontaminate=on)) for on in (False, True))
    row: list[Image.Image] = []
    for ground in GROUNDS.values():
        behind = photograph("grass").resize(image.size) if ground == "grass" else Image.new("RGB", image.size, ground)
        row += [Image.alpha_composite(behind.convert("RGBA"), result) for result in (before, after)]
    return row


def look_pair(name: str, model: MatteModel) -> list[Image.Image]:
    """The photograph, and its cutouts on magenta with one look and with `detail=auto`."""
    image = Image.fromarray(np.asarray(SOURCES.get(name, getattr(data, name, None))())).convert("RGB")
    behind = Image.new("RGBA", image.size, "magenta")
    once, again = (cutout(image, model, CutoutOptions(format="png", detail=detail)) for detail in ("fast", "auto"))
    return [image, *(Image.alpha_composite(behind, result) for result in (once, again))]


def chosen_composites(model: MatteModel) -> list[Composite]:
    subjects = {name: one for part in PARTS for name, one in find_subjects(model, part, None).items()}
    chosen = (("astronaut", "gravel"), ("cameraman", "brick"), ("motorcycle", "grass"), ("coffee", "sand"))
    return [
        composite(name, 1 / 3, subjects[name], background(ground, (SIDE, SIDE)), np.random.default_rng(number))
        for number, (name, ground) in enumerate(chosen)
    ]


def composite_row(made: Composite, model: MatteModel) -> list[Image.Image]:
    """The image, and its subject cut out with one look, with `detail=auto` and by its true alpha, on magenta."""
    once, again = (cutout(made.image, model, CutoutOptions(format="png", detail=detail)) for detail in ("fast", "auto"))
    true = made.image.copy()
    true.putalpha(made.alpha)
    behind = Image.new("RGBA", made.image.size, "magenta")
    left, top, right, bottom = made.alpha.getbbox() or (0, 0, SIDE, SIDE)
    near = left - 20, top - 20, right + 20, bottom + 20
    cut = (Image.alpha_composite(behind, one).crop(near) for one in (once, again, true))
    return [made.image, *(ImageOps.contain(one, (CELL, CELL)) for one in cut)]


def shadow_row(image: Image.Image, model: MatteModel) -> list[Image.Image]:
    """Both shadows on white and on grey."""
    row = []
    for shadow in ("drop", "contact"):
        for color in ((255, 255, 255, 255), GREY):
            side: tuple[float, str] = (15.0, "%")
            options = CutoutOptions(
                format="png", width=720, height=720, pad=True, crop=True, padding=(side,) * 4,  # type: ignore[arg-type]
                snap=False, shadow=shadow, background=color,
            )  # fmt: skip
            row.append(cutout(image, model, options))
    return row


def cutout(image: Image.Image, model: MatteModel, options: CutoutOptions) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "PNG")
    result = cut_out(file, read_header(file), options, model)
    return Image.open(io.BytesIO(result.data)).convert("RGBA")


class Drawn:
    """The matte of a drawn product."""

    name = "drawn"

    def __init__(self, matte: Image.Image) -> None:
        self._matte = matte

    def predict(self, image: Image.Image) -> Prediction:
        return Prediction(self._matte.copy(), self.name, 1.0)


def drawn(color: tuple[int, int, int], draw: Callable[[ImageDraw.ImageDraw], None]) -> tuple[Image.Image, MatteModel]:
    matte = Image.new("L", (1600, 1600))
    draw(ImageDraw.Draw(matte))
    shade = Image.linear_gradient("L").rotate(90).resize((800, 800))
    image = Image.composite(Image.new("RGB", shade.size, color), Image.new("RGB", shade.size, "white"), shade)
    return image, Drawn(matte.resize((800, 800), Image.Resampling.BOX))


def bottle() -> tuple[Image.Image, MatteModel]:
    def draw(on: ImageDraw.ImageDraw) -> None:
        on.rounded_rectangle((600, 600, 1000, 1500), 80, fill=255)
        on.rectangle((720, 150, 880, 700), fill=255)

    return drawn((20, 110, 60), draw)


def table() -> tuple[Image.Image, MatteModel]:
    def draw(on: ImageDraw.ImageDraw) -> None:
        on.rectangle((200, 500, 1400, 600), fill=255)
        for left in (260, 1260):
            on.rectangle((left, 600, left + 80, 1400), fill=255)

    return drawn((120, 70, 30), draw)


def ball() -> tuple[Image.Image, MatteModel]:
    return drawn((190, 40, 40), lambda on: on.ellipse((300, 300, 1300, 1300), fill=255))


PRODUCTS = (bottle, table, ball)


def save(name: str, rows: Sequence[Sequence[Image.Image]]) -> None:
    small = [[shrunk(image) for image in row] for row in rows]
    heights = [max(image.height for image in row) for row in small]
    sheet = Image.new("RGB", (CELL * max(map(len, small)), sum(heights)), "magenta")
    for row, top in zip(small, (sum(heights[:index]) for index in range(len(heights))), strict=True):
        for column, image in enumerate(row):
            sheet.paste(image, (column * CELL, top))
    sheet.save(SHEETS / name)
    print(SHEETS / name)


def shrunk(image: Image.Image) -> Image.Image:
    copy = image.convert("RGB")
    copy.thumbnail((CELL, CELL))
    return copy


if __name__ == "__main__":
    main()
