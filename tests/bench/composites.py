"""Images of known alpha: subjects of skimage's public-domain photographs, and drawn ones, on other grounds.

The drawn ones are thin, and the grounds are drawn towards the subject's colours: otherwise one look finds nearly all. The
subjects and grounds of the tuning set chose the constants of imaging.core.matting.looks; those of the held-out set took
no part in any choice. A photograph's alpha is the network's matte of the whole photograph, where it is sure.
"""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from skimage import data

from imaging.core.matting.matte import MatteModel
from tests.bench.bench_edges import ALPHAS, photograph

CAMERA_NOISE = 3
# How far a ground's colours are drawn towards the subject's: at 0 one look is nearly always right.
CAMOUFLAGE = 0.6
SIDE = 800
# Coins of the photograph of that name: centre and radius.
COINS = {"coin 1": (334, 43, 28), "coin 2": (348, 188, 32)}
TUNING = ("astronaut", "coin 1", "hair", "star", "tree", "ladder")
HELD_OUT = ("cameraman", "motorcycle", "cat", "coin 2", "horse", "bush", "chair")
GROUNDS = {"tuning": ("grass", "plain warm"), "held out": ("gravel", "brick", "plain cool", "grass brown")}
SUBJECTS = {"tuning": TUNING, "held out": HELD_OUT}


@dataclass(frozen=True, slots=True)
class Composite:
    """An image (RGB) and its alpha (L). `share` is the subject's longer side in the frame's shorter one."""

    name: str
    share: float
    image: Image.Image
    alpha: Image.Image


def composites(model: MatteModel, part: str, share: float, size: tuple[int, int] = (SIDE, SIDE)) -> Iterator[Composite]:
    """Each subject of `part`, "tuning" or "held out", on two of its grounds."""
    for number, name in enumerate(SUBJECTS[part]):
        subject = find_subject(model, name)
        for turn in range(2):
            ground = GROUNDS[part][(number + turn) % len(GROUNDS[part])]
            random = np.random.default_rng([number, turn, round(100 * share), *size])
            yield composite(f"{name} on {ground}", share, subject, ground, size, random)


def composite(
    name: str, share: float, subject: Image.Image, ground: str, size: tuple[int, int], random: np.random.Generator
) -> Composite:
    """`subject` (RGBA) somewhere on `ground`, with the noise of a camera."""
    alpha = Image.new("L", size)
    behind = camouflaged(background(ground, size), subject).convert("RGBA")
    put(behind, alpha, subject, share, random)
    return Composite(name, share, noisy(behind, random), alpha)


def camouflaged(ground: Image.Image, subject: Image.Image) -> Image.Image:
    """`ground` with its brightness, contrast and colours drawn towards those of `subject`, which would stand out."""
    pixels, alpha = np.asarray(subject, np.float32)[..., :3], np.asarray(subject)[..., 3] > 200
    own, other = pixels[alpha], np.asarray(ground, np.float32)
    mean, spread = other.mean(axis=(0, 1)), other.std(axis=(0, 1))
    alike = (other - mean) * (own.std(axis=0) / np.maximum(spread, 8)).clip(0, 2) + own.mean(axis=0)
    return Image.fromarray((other + CAMOUFLAGE * (alike - other)).clip(0, 255).astype(np.uint8))


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
    kind, _, tint = name.partition(" ")
    grey = Image.fromarray(getattr(data, kind)()).convert("L")
    tile = ImageOps.fit(grey, (400, 400))
    whole = Image.new("L", size)
    for left in range(0, size[0], 400):
        for top in range(0, size[1], 400):
            # Mirrored, so that it continues.
            turned = ImageOps.mirror(tile) if left // 400 % 2 else tile
            whole.paste(ImageOps.flip(turned) if top // 400 % 2 else turned, (left, top))
    dark, light = {
        "grass": ((10, 40, 5), (150, 190, 100)),
        "grass brown": ((40, 25, 10), (200, 170, 120)),
        "gravel": ((30, 28, 26), (215, 210, 200)),
        "brick": ((60, 25, 15), (225, 150, 120)),
    }[f"{kind} {tint}".strip()]
    return ImageOps.colorize(whole, dark, light)


_subjects: dict[str, Image.Image] = {}


def find_subject(model: MatteModel, name: str) -> Image.Image:
    """The subject (RGBA), cut to its box."""
    if name not in _subjects:
        subject = drawn(name) if name in SHAPES else coin(name) if name in COINS else photographed(model, name)
        _subjects[name] = subject.crop(subject.getchannel("A").point([255 * (value > 10) for value in range(256)]).getbbox())
    return _subjects[name]


def photographed(model: MatteModel, name: str) -> Image.Image:
    sources: dict[str, Callable[[], np.ndarray]] = {
        "cameraman": data.camera,
        "cat": data.chelsea,
        "motorcycle": lambda: data.stereo_motorcycle()[0],
    }
    image = Image.fromarray(sources.get(name, getattr(data, name, None))())
    image = image.convert("RGB")
    alpha = model.predict(image).matte.resize(image.size, Image.Resampling.LANCZOS)
    # What the network is not sure of would be no truth.
    image.putalpha(alpha.point([min(255, max(0, round((value - 60) * 255 / 180))) for value in range(256)]))
    return image


def coin(name: str) -> Image.Image:
    x, y, radius = COINS[name]
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
