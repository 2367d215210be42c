"""Cost and quality of each encoder setting, on cutouts of photographs by the real model.

    python -m tests.bench.bench_encode [--megapixels 1 12] [--rounds 3]

Prints for each setting: milliseconds of processor time (median of the rounds, in which all settings take turns), bytes,
and the peak signal-to-noise ratio of the opaque pixels in dB. The settings in use are marked.
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops
from skimage import data

from imaging.core.codecs import webp_writer as webp
from imaging.core.codecs.encode import encode
from imaging.core.finishing.finish import finish_cutout
from imaging.core.matting.engines import OnnxRuntimeEngine
from imaging.core.matting.matte import NetworkModel
from imaging.core.matting.refine import enlarge
from imaging.core.options import CutoutOptions, FileFormat
from imaging.core.weights.files import serving_path

# zlib's strategies, as Pillow numbers them.
STRATEGIES = {"default": 0, "filtered": 1, "huffman": 2, "rle": 3}
NOISE_SIGMA = 6

Encoder = Callable[[Image.Image], bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    model = NetworkModel(OnnxRuntimeEngine(serving_path("u2net"), threads=os.cpu_count() or 1), name="u2net")
    for megapixels in arguments.megapixels:
        image = photograph(round((megapixels * 1e6) ** 0.5))
        matte = enlarge(model.predict(image).matte, image, refine=True)
        print(f"\n{megapixels:g} MP")
        for format in ("webp", "png", "jpeg", "bmp"):
            cutout = finish_cutout(image.copy(), matte.copy(), CutoutOptions(format=format)).image
            compare(cutout, settings(format), arguments.rounds)


def photograph(side: int) -> Image.Image:
    image = Image.fromarray(data.astronaut()).resize((side, side), Image.Resampling.BICUBIC)
    noise = Image.effect_noise((side, side), NOISE_SIGMA)
    return ImageChops.add(image, Image.merge("RGB", (noise, noise, noise)), 1, -128)


def settings(format: FileFormat) -> dict[str, Encoder]:
    """Every setting, the one in use first."""
    used: dict[str, Encoder] = {f"{format}, as served": lambda image: encode(image, format, None).read()}
    return used | {"webp": webp_settings, "png": png_settings, "jpeg": jpeg_settings, "bmp": dict}[format]()


def webp_settings() -> dict[str, Encoder]:
    def at(quality: int, method: int) -> Encoder:
        def run(image: Image.Image) -> bytes:
            used, webp._SETTINGS = webp._SETTINGS, ((quality, method), (quality, 2), (50, 2))
            try:
                return encode(image, "webp", None).read()
            finally:
                webp._SETTINGS = used

        return run

    ours = {
        f"webp quality {quality} method {method}": at(quality, method) for quality in (80, 85) for method in (0, 1, 2, 4)
    }
    return ours | {f"libwebp alone, method {m}": saved("webp", quality=85, method=m) for m in (1, 4)}


def png_settings() -> dict[str, Encoder]:
    return {
        f"png level {level} {name}": saved("png", compress_level=level, compress_type=strategy)
        for name, strategy in STRATEGIES.items()
        for level in ((1, 2, 3, 4, 6) if name in ("default", "filtered") else (1,))
    }


def jpeg_settings() -> dict[str, Encoder]:
    choices: dict[str, dict] = {"plain": {}, "optimised": {"optimize": True}, "progressive": {"progressive": True}}
    return {
        f"jpeg 90 {sampling} {name}": saved("jpeg", quality=90, subsampling=sampling, **choice)
        for sampling in ("4:4:4", "4:2:0")
        for name, choice in choices.items()
    }


def saved(format: str, **options: object) -> Encoder:
    def run(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return run


def compare(cutout: Image.Image, encoders: dict[str, Encoder], rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in encoders}
    files = {}
    for _ in range(rounds):
        for name, encoder in encoders.items():
            copy = cutout.copy()
            started = time.process_time()
            files[name] = encoder(copy)
            times[name].append(time.process_time() - started)
    for name, file in files.items():
        milliseconds = statistics.median(times[name]) * 1000
        print(f"  {name:28} {milliseconds:8.1f} ms {len(file):11,} bytes  {opaque_psnr(file, cutout)}", flush=True)


def opaque_psnr(file: bytes, cutout: Image.Image) -> str:
    """In dB, or `lossless`."""
    pixels = np.asarray(cutout.convert("RGBA"), np.float32)
    delivered = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), np.float32)
    difference = (delivered - pixels[..., :3])[pixels[..., 3] == 255]
    error = float(np.mean(difference**2))
    return f"{10 * np.log10(255**2 / error):.1f} dB" if error else "lossless"


if __name__ == "__main__":
    main()
