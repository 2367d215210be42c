"""How close the edges of a cutout are to the true ones, refined and as rembg has them, in images of known alpha.

    python -m tests.bench.bench_edges [--megapixels 4] [--all]

Subjects with straight, round and hairy edges, sharp and out of focus, plain and textured with photographs, stand before
photographs. The model's matte is enlarged plainly, which is rembg's alpha, and with refinement. In the unknown band, all
within four pixels of the matte of a true edge, two errors are summed: of alpha (SAD), and of its gradient, taken with
Gaussian derivatives of sigma 1.4 and squared (Rhemann et al., "A Perceptually Motivated Online Benchmark for Image
Matting", CVPR 2009). Prints ours / rembg's for each image and the geometric means. The constants of
imaging.core.matting.refine were chosen on the even images; the odd ones are reported, all of them with --all.
"""

import argparse
import math
import os
import time

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

from imaging.core.matting.engines import OnnxRuntimeEngine
from imaging.core.matting.matte import NetworkModel
from imaging.core.matting.refine import enlarge
from imaging.core.weights.files import serving_path

IMAGES = 16
GRADIENT_SIGMA = 1.4
BAND_MATTE_PIXELS = 4
CAMERA_NOISE = 3
SHAPES = ("star", "disc", "horse", "hair")
GROUNDS = ("rocket", "coffee", "grass", "gravel", "brick", "chelsea")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=4)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    model = NetworkModel(OnnxRuntimeEngine(serving_path("u2net"), threads=os.cpu_count() or 1), name="u2net")
    side = round((arguments.megapixels * 1e6) ** 0.5)
    ratios = [compare(model, index, side) for index in range(IMAGES) if arguments.all or index % 2]
    sad, gradient, seconds = np.exp(np.mean(np.log(ratios), axis=0))
    print(f"{arguments.megapixels:g} MP, ours / rembg: SAD {sad:.2f}, gradient {gradient:.2f}; processor time {seconds:.2f}")


def compare(model: NetworkModel, index: int, side: int) -> tuple[float, float, float]:
    name, image, truth = scene(index, side)
    matte = model.predict(image).matte
    band = unknown_band(truth)
    errors, times = [], []
    for refine in (False, True):
        started = time.process_time()
        alpha = enlarge(matte.copy(), image, refine=refine)
        times.append(time.process_time() - started)
        errors.append((sad(alpha, truth, band), gradient_error(alpha, truth, band)))
    (plain_sad, plain_gradient), (our_sad, our_gradient) = errors
    row = our_sad / plain_sad, our_gradient / plain_gradient, times[1] / times[0]
    print(
        f"  {index:2} {name:28} SAD {our_sad / 1000:7.1f} ({row[0]:.2f})  gradient {our_gradient:8.0f} ({row[1]:.2f})",
        flush=True,
    )
    return row


def scene(index: int, side: int) -> tuple[str, Image.Image, Image.Image]:
    """Name, image (RGB) and alpha (L) of the image with this number; deterministic."""
    name, picture, alpha, _ = layered_scene(index, side)
    return name, picture, alpha


def layered_scene(index: int, side: int) -> tuple[str, Image.Image, Image.Image, np.ndarray]:
    """The same, and the colours of the subject without its background, 0-255."""
    random = np.random.default_rng(index)
    shape = SHAPES[index // 2 % len(SHAPES)]
    blur = float(random.choice((0.0004, 0.0004, 0.003))) * side
    alpha = ALPHAS[shape](random, side).filter(ImageFilter.GaussianBlur(blur))
    ground = str(random.choice(GROUNDS))
    share = np.asarray(alpha, np.float32)[..., np.newaxis] / 255
    colours = subject(random, side)
    pixels = colours * share + background(random, ground, side) * (1 - share)
    pixels += random.normal(0, CAMERA_NOISE, (side, side, 1))
    return f"{shape} on {ground}, blur {blur:.1f}", Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), alpha, colours


def photograph(name: str, side: int) -> Image.Image:
    return Image.fromarray(getattr(data, name)()).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def subject(random: np.random.Generator, side: int) -> np.ndarray:
    color = tuple(int(value) for value in random.integers(0, 256, 3))
    texture = photograph(str(random.choice(("brick", "gravel", "chelsea"))), side)
    return np.asarray(Image.blend(Image.new("RGB", texture.size, color), texture, float(random.uniform(0, 0.5))), np.float32)


def background(random: np.random.Generator, name: str, side: int) -> np.ndarray:
    ground = photograph(name, side)
    if random.random() < 0.5:
        ground = ground.filter(ImageFilter.GaussianBlur(side / 150))
    return np.asarray(ground, np.float32)


def polygon(points: list[tuple[float, float]], side: int) -> Image.Image:
    alpha = Image.new("L", (2 * side, 2 * side))
    ImageDraw.Draw(alpha).polygon([(2 * side * x, 2 * side * y) for x, y in points], fill=255)
    return alpha.resize((side, side), Image.Resampling.BOX)


def around(radii: list[float]) -> list[tuple[float, float]]:
    turns = [2 * math.pi * index / len(radii) for index in range(len(radii))]
    return [(0.5 + r * math.cos(turn), 0.5 + r * math.sin(turn)) for r, turn in zip(radii, turns, strict=True)]


def star(random: np.random.Generator, side: int) -> Image.Image:
    return polygon(around([0.38, 0.2] * int(random.integers(5, 9))), side)


def disc(random: np.random.Generator, side: int) -> Image.Image:
    wave = int(random.integers(2, 6))
    return polygon(around([0.3 + 0.05 * math.sin(wave * 2 * math.pi * step / 720) for step in range(720)]), side)


def horse(random: np.random.Generator, side: int) -> Image.Image:
    small = Image.fromarray(np.where(data.horse(), 0, 255).astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    # The silhouette is small: smooth its steps, then sharpen the edge again.
    smooth = small.filter(ImageFilter.GaussianBlur(side / 250))
    return smooth.point([min(255, max(0, (value - 128) * 8 + 128)) for value in range(256)])


def hair(random: np.random.Generator, side: int) -> Image.Image:
    alpha = polygon(around([0.26] * 90), side).resize((2 * side, 2 * side))
    draw = ImageDraw.Draw(alpha)
    for _ in range(500):
        turn = heading = random.random() * 2 * math.pi
        x, y = side * (1 + 0.5 * math.cos(turn)), side * (1 + 0.5 * math.sin(turn))
        strand = [(x, y)]
        for _ in range(8):
            heading += random.normal() * 0.15
            x, y = x + side * 0.02 * math.cos(heading), y + side * 0.02 * math.sin(heading)
            strand.append((x, y))
        draw.line(strand, fill=int(random.integers(120, 256)), width=max(2, side // 400), joint="curve")
    return alpha.resize((side, side), Image.Resampling.BOX)


ALPHAS = {"star": star, "disc": disc, "horse": horse, "hair": hair}


def unknown_band(truth: Image.Image) -> np.ndarray:
    """All pixels within BAND_MATTE_PIXELS of one whose alpha is neither 0 nor 1, or changes."""
    block = max(1, max(truth.size) // 320)
    low, high = truth.filter(ImageFilter.MinFilter(3)), truth.filter(ImageFilter.MaxFilter(3))
    edge = (np.asarray(low.reduce(block)) < 252) & (np.asarray(high.reduce(block)) > 3)
    grown = Image.fromarray(edge).convert("L").filter(ImageFilter.MaxFilter(2 * BAND_MATTE_PIXELS + 1))
    size = grown.width * block, grown.height * block
    return np.asarray(grown.resize(size, Image.Resampling.NEAREST).crop((0, 0, *truth.size))) > 0


def sad(alpha: Image.Image, truth: Image.Image, band: np.ndarray) -> float:
    """The sum of absolute differences in `band`, with alpha in 0-1."""
    return float(np.abs(np.asarray(alpha, np.float32) - np.asarray(truth, np.float32))[band].sum() / 255)


def gradient_error(alpha: Image.Image, truth: Image.Image, band: np.ndarray) -> float:
    """The sum of squared differences of the gradients' magnitudes in `band`."""
    return float(((gradient(alpha) - gradient(truth)) ** 2)[band].sum())


def gradient(alpha: Image.Image) -> np.ndarray:
    offsets = np.arange(-4, 5)
    gaussian = np.exp(-(offsets**2) / (2 * GRADIENT_SIGMA**2))
    gaussian /= gaussian.sum()
    slope = -offsets / GRADIENT_SIGMA**2 * gaussian
    plane = np.asarray(alpha, np.float32) / 255
    across = convolved(convolved(plane, slope, 1), gaussian, 0)
    return np.hypot(across, convolved(convolved(plane, slope, 0), gaussian, 1))


def convolved(plane: np.ndarray, kernel: np.ndarray, axis: int) -> np.ndarray:
    padding = [(4, 4) if index == axis else (0, 0) for index in (0, 1)]
    padded = np.pad(plane, padding, mode="edge")
    result = np.zeros_like(plane)
    for index, weight in enumerate(kernel):
        result += np.float32(weight) * np.take(padded, range(index, index + plane.shape[axis]), axis)
    return result


if __name__ == "__main__":
    main()
