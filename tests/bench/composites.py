"""Images of known alpha: subjects of photographs, and drawn thin ones, on other grounds.

The subjects and grounds of the tuning set chose the constants of imaging.core.matting.looks; those of the held-out set took
no part in any choice. A photograph's alpha is the network's matte of the whole photograph; photographs of which it is not
sure are left out. skimage's public-domain photographs are few: a folder of further ones can be given. The drawn subjects
have exact alpha, and their grounds are drawn towards their colours: otherwise one look finds nearly all.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from skimage import data

from imaging.core.matting.matte import MatteModel
from tests.bench.bench_agreement import photographs
from tests.bench.bench_edges import ALPHAS, photograph

CAMERA_NOISE = 3
# How far a ground's colours are drawn towards a drawn subject's.
CAMOUFLAGE = 0.6
SIDE = 800
# Of a photograph at most so many pixels along the longer side are used.
LARGEST = 1200
# A matte is the truth if the values between 0.1 and 0.9 are no more than this share of its subject's area.
MOST_UNSURE = 0.16
PARTS = ("tuning", "held out")
GROUNDS = {"tuning": ("brick", "grass", "plain warm"), "held out": ("gravel", "sand", "plain cool")}
SOURCES: Mapping[str, Mapping[str, Callable[[], np.ndarray]]] = {
    "tuning": {"astronaut": data.astronaut, "coffee": data.coffee},
    "held out": {"cameraman": data.camera, "motorcycle": lambda: data.stereo_motorcycle()[0]},
}
# Coins of the photograph of that name: centre and radius.
COINS = {"tuning": (334, 43, 28), "held out": (348, 188, 32)}
DRAWN = {"tuning": ("hair", "star", "tree", "ladder"), "held out": ("horse", "bush", "chair")}
Subjects: TypeAlias = Mapping[str, Image.Image]


@dataclass(frozen=True, slots=True)
class Composite:
    """An image (RGB) and its alpha (L). `share` is the subject's longer side in the frame's shorter one."""

    name: str
    share: float
    image: Image.Image
    alpha: Image.Image


def composites(subjects: Subjects, grounds: tuple[str, ...], share: float, *, camouflage: float = 0) -> Iterator[Composite]:
    """Each of `subjects` on two of `grounds`."""
    size = (SIDE, SIDE)
    for number, (name, subject) in enumerate(subjects.items()):
        for turn in range(2):
            ground = grounds[(number + turn) % len(grounds)]
            random = np.random.default_rng([number, turn, round(100 * share), *size])
            behind = camouflaged(background(ground, size), subject, camouflage)
            yield composite(f"{name} on {ground}", share, subject, behind, random)


def composite(name: str, share: float, subject: Image.Image, ground: Image.Image, random: np.random.Generator) -> Composite:
    """`subject` (RGBA) somewhere on `ground`, with the noise of a camera."""
    alpha, behind = Image.new("L", ground.size), ground.convert("RGBA")
    put(behind, alpha, subject, share, random)
    return Composite(name, share, noisy(behind, random), alpha)


def camouflaged(ground: Image.Image, subject: Image.Image, share: float) -> Image.Image:
    """`ground` with its brightness, contrast and colours drawn by `share` towards those of `subject`."""
    if share == 0:
        return ground
    pixels, alpha = np.asarray(subject, np.float32)[..., :3], np.asarray(subject)[..., 3] > 200
    own, other = pixels[alpha], np.asarray(ground, np.float32)
    mean, spread = other.mean(axis=(0, 1)), other.std(axis=(0, 1))
    alike = (other - mean) * (own.std(axis=0) / np.maximum(spread, 8)).clip(0, 2) + own.mean(axis=0)
    return Image.fromarray((other + share * (alike - other)).clip(0, 255).astype(np.uint8))


def put(image: Image.Image, alpha: Image.Image, subject: Image.Image, share: float, random: np.random.Generator) -> None:
    """Composite `subject` over `image` (RGBA) and its alpha over `alpha`, in place, anywhere that it fits."""
    scale = share * min(image.size) / max(subject.size)
    width, height = (max(1, round(side * scale)) for side in subject.size)
    small = subject.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (int(random.integers(0, whole - part + 1)) for whole, part in zip(image.size, small.size, strict=True))
    image.alpha_composite(small, (left, top))
    alpha.paste(255, (left, top), small.getchannel("A"))


def noisy(image: Image.Image, random: np.random.Generator) -> Image.Image:
    grain = random.normal(0, CAMERA_NOISE, (image.height, image.width, 1))
    pixels = np.asarray(image.convert("RGB"), np.float32) + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@functools.cache
def background(name: str, size: tuple[int, int]) -> Image.Image:
    if name.startswith("plain"):
        light, dark = {"plain warm": ((230, 215, 190), (170, 150, 120)), "plain cool": ((205, 215, 225), (120, 135, 150))}[
            name
        ]
        return ImageOps.colorize(Image.linear_gradient("L").resize(size), dark, light)
    texture, dark, light = TEXTURES[name]
    tile = Image.fromarray(texture()).convert("L")
    whole = Image.new("L", size)
    for column, left in enumerate(range(0, size[0], tile.width)):
        for row, top in enumerate(range(0, size[1], tile.height)):
            # Mirrored, so that it continues.
            turned = ImageOps.mirror(tile) if column % 2 else tile
            whole.paste(ImageOps.flip(turned) if row % 2 else turned, (left, top))
    return ImageOps.colorize(whole, dark, light)


# Photographs of 512 x 512 pixels, at that scale, and the colours of their dark and light.
TEXTURES: Mapping[str, tuple[Callable[[], np.ndarray], tuple[int, int, int], tuple[int, int, int]]] = {
    "grass": (data.grass, (10, 40, 5), (150, 190, 100)),
    "gravel": (data.gravel, (30, 28, 26), (215, 210, 200)),
    "brick": (data.brick, (60, 25, 15), (225, 150, 120)),
    "sand": (data.moon, (90, 70, 45), (235, 215, 180)),
}


def find_subjects(model: MatteModel, part: str, folder: Path | None) -> Subjects:
    """The subjects (RGBA, cut to their boxes) of `part`: skimage's, and each second one of `folder`."""
    images = {name: Image.fromarray(source()).convert("RGB") for name, source in SOURCES[part].items()}
    for number, image in enumerate(photographs(folder) if folder else ()):
        if PARTS[number % 2] == part:
            image.thumbnail((LARGEST, LARGEST))
            images[f"photograph {number}"] = image
    cut = {name: photographed(model, image) for name, image in images.items()}
    return {**{name: cropped(one) for name, one in cut.items() if one}, "coin": cropped(coin(part))}


def drawn_subjects(part: str) -> Subjects:
    return {name: cropped(drawn(name)) for name in DRAWN[part]}


def cropped(subject: Image.Image) -> Image.Image:
    return subject.crop(subject.getchannel("A").point([255 * (value > 10) for value in range(256)]).getbbox())


def photographed(model: MatteModel, image: Image.Image) -> Image.Image | None:
    """`image` with the network's matte as its alpha, None if the network is not sure of it."""
    matte = model.predict(image).matte
    values = np.asarray(matte, np.float32) / 255
    if ((values > 0.1) & (values < 0.9)).sum() > MOST_UNSURE * (values >= 0.5).sum():
        return None
    alpha = matte.resize(image.size, Image.Resampling.LANCZOS)
    cut = image.copy()
    cut.putalpha(alpha.point([min(255, max(0, round((value - 60) * 255 / 180))) for value in range(256)]))
    return cut


def coin(part: str) -> Image.Image:
    x, y, radius = COINS[part]
    box = x - radius, y - radius, x + radius, y + radius
    image = Image.fromarray(data.coins()).crop(box).convert("RGB").resize((400, 400), Image.Resampling.BICUBIC)
    alpha = Image.new("L", (1600, 1600))
    ImageDraw.Draw(alpha).ellipse((40, 40, 1560, 1560), fill=255)
    image.putalpha(alpha.resize(image.size, Image.Resampling.BOX))
    return image


def drawn(name: str) -> Image.Image:
    """A shape with the texture of a photograph, lit from the left."""
    random, side = np.random.default_rng(len(name)), 640
    colour, photo = LOOKS[name]
    image = Image.blend(Image.new("RGB", (side, side), colour), photograph(photo, side), 0.35)
    light = ImageOps.colorize(Image.linear_gradient("L").rotate(90).resize(image.size), "#505050", "#ffffff")
    image = Image.fromarray((np.asarray(image, np.float32) * np.asarray(light, np.float32) / 255).astype(np.uint8))
    image.putalpha(SHAPES[name](random, side).filter(ImageFilter.GaussianBlur(0.6)))
    return image


def strokes(lines: list[tuple[float, float, float, float, float]], side: int) -> Image.Image:
    """Lines from (x, y) to (x, y) of a width, in shares of `side`."""
    alpha = Image.new("L", (2 * side, 2 * side))
    draw = ImageDraw.Draw(alpha)
    for line in lines:
        x, y, to_x, to_y, width = (2 * side * value for value in line)
        draw.line((x, y, to_x, to_y), fill=255, width=max(2, round(width)))
        for end_x, end_y in ((x, y), (to_x, to_y)):
            draw.ellipse((end_x - width / 2, end_y - width / 2, end_x + width / 2, end_y + width / 2), fill=255)
    return alpha.resize((side, side), Image.Resampling.BOX)


def branches(random: np.random.Generator, spread: float, depth: int) -> list[tuple[float, float, float, float, float]]:
    lines = []

    def grow(x: float, y: float, heading: float, length: float, width: float, left: int) -> None:
        to_x, to_y = x + length * math.cos(heading), y + length * math.sin(heading)
        lines.append((x, y, to_x, to_y, width))
        for side in (-1, 1) if left else ():
            turned = heading + side * spread * float(random.uniform(0.6, 1.3))
            grow(to_x, to_y, turned, length * float(random.uniform(0.68, 0.82)), width * 0.7, left - 1)

    grow(0.5, 0.95, -math.pi / 2, 0.24, 0.05, depth)
    return lines


def tree(random: np.random.Generator, side: int) -> Image.Image:
    return strokes(branches(random, 0.5, 5), side)


def bush(random: np.random.Generator, side: int) -> Image.Image:
    return strokes(branches(random, 0.75, 4), side)


def ladder(random: np.random.Generator, side: int) -> Image.Image:
    rungs = [(0.33, 0.1 + 0.1 * step, 0.62, 0.1 + 0.1 * step, 0.025) for step in range(9)]
    return strokes([(0.3, 0.05, 0.34, 0.95, 0.04), (0.66, 0.05, 0.62, 0.95, 0.04), *rungs], side)


def chair(random: np.random.Generator, side: int) -> Image.Image:
    seat = [(0.25, 0.52, 0.72, 0.52, 0.06), (0.25, 0.08, 0.28, 0.95, 0.035), (0.72, 0.52, 0.76, 0.95, 0.035)]
    back = [(0.25, 0.12 + 0.12 * bar, 0.5, 0.1 + 0.12 * bar, 0.03) for bar in range(3)]
    return strokes(
        [*seat, *back, (0.5, 0.06, 0.5, 0.52, 0.03), (0.5, 0.52, 0.52, 0.9, 0.03), (0.28, 0.8, 0.74, 0.8, 0.02)], side
    )


SHAPES = {**ALPHAS, "tree": tree, "bush": bush, "ladder": ladder, "chair": chair}
# The colour of each, and the photograph whose texture it has.
LOOKS = {
    "hair": ("#604020", "coffee"), "star": ("#c03020", "brick"), "tree": ("#4a3020", "gravel"),
    "ladder": ("#a07840", "brick"), "horse": ("#5a3a28", "chelsea"),
    "bush": ("#305020", "coffee"), "chair": ("#8a2a20", "coffee"),
}  # fmt: skip
