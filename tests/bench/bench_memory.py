"""Peak memory and seconds of single cutouts with the real model, each in a separate process.

    python -m tests.bench.bench_memory [--case NAME ...]

Prints one line per case: peak memory of the process and of the decoding process (interpreter, model, image), and the
seconds of each step. The largest allowed images, 100 megapixels, must stay below 2.5 GB in every case.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.bench.load import Memory

LIMIT_GB = 2.5
# Photograph-like: smooth areas, edges, camera noise.
NOISE_SIGMA = 12

CASES = {
    "1 MP jpeg to webp": (1000, "JPEG", {}),
    "1 MP jpeg to png": (1000, "JPEG", {"format": "png"}),
    "12 MP jpeg to webp": (3464, "JPEG", {}),
    "12 MP jpeg to png": (3464, "JPEG", {"format": "png"}),
    "12 MP jpeg to jpeg": (3464, "JPEG", {"format": "jpeg"}),
    "12 MP jpeg to webp, 45": (3464, "JPEG", {"angle": "45"}),
    "12 MP jpeg to a marketplace's 2000": (3464, "JPEG", {"preset": "amazon"}),
    "12 MP jpeg, shadow, on its blur": (3464, "JPEG", {"shadow": "contact", "bg_blur": "40"}),
    "100 MP jpeg to webp": (10_000, "JPEG", {}),
    "100 MP jpeg to png": (10_000, "JPEG", {"format": "png"}),
    "100 MP jpeg to jpeg": (10_000, "JPEG", {"format": "jpeg"}),
    "100 MP jpeg to webp, 45": (10_000, "JPEG", {"angle": "45"}),
    "100 MP jpeg to png, 45": (10_000, "JPEG", {"angle": "45", "format": "png"}),
    "100 MP jpeg to jpeg, 45": (10_000, "JPEG", {"angle": "45", "format": "jpeg"}),
    "100 MP jpeg to webp, 45, w": (10_000, "JPEG", {"angle": "45", "w": "10000"}),
    "100 MP jpeg mask, 45": (10_000, "JPEG", {"angle": "45", "mask": "1"}),
    "100 MP png to webp": (10_000, "PNG", {}),
    "100 MP png to png": (10_000, "PNG", {"format": "png"}),
    "100 MP png to webp, 45": (10_000, "PNG", {"angle": "45"}),
    "100 MP png to png, 45": (10_000, "PNG", {"angle": "45", "format": "png"}),
    "100 MP webp to webp": (10_000, "WEBP", {}),
    "100 MP webp to png": (10_000, "WEBP", {"format": "png"}),
    "100 MP jpeg to webp, everything on": (
        10_000,
        "JPEG",
        {
            "crop": "1",
            "crop_margin": "100px",
            "w": "10000",
            "h": "10000",
            "shadow": "drop",
            "bg_image": "1",
            "quality": "90",
        },
    ),
    "100 MP jpeg, 45, shadow, on its blur": (10_000, "JPEG", {"angle": "45", "shadow": "contact", "bg_blur": "40"}),
    "100 MP png to bmp, on red": (10_000, "PNG", {"format": "bmp", "bg_color": "red"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, help="only this case; may be repeated")
    parser.add_argument("--inside", nargs=2, metavar=("CASE", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        run_case(arguments.inside[0], Path(arguments.inside[1]))
        return
    too_much = [name for name in arguments.case or CASES if measure(name) > LIMIT_GB]
    sys.exit(f"over {LIMIT_GB} GB: {', '.join(too_much)}" if too_much else 0)


def measure(name: str) -> float:
    """Run one case in a new process and print its line; returns its peak in GB."""
    side, format, _ = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input.{format.lower()}"
        # Also in a separate process: a fork inherits its parent's peak.
        subprocess.run([sys.executable, "-c", _MAKE_IMAGE, str(side), format, str(path)], check=True)
        command = [sys.executable, "-m", "tests.bench.bench_memory", "--inside", name, str(path)]
        facts = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    steps = "  ".join(f"{step} {seconds:.2f}" for step, seconds in facts["timings"].items())
    print(f"{name:38} {facts['peak_gb']:.2f} GB  {steps}  {facts['megabytes']:.1f} MB", flush=True)
    return float(facts["peak_gb"])


_MAKE_IMAGE = f"""
import sys
from PIL import Image, ImageChops
from skimage import data
side = int(sys.argv[1])
tile = Image.fromarray(data.astronaut()).resize((1000, 1000))
noise = Image.effect_noise((1000, 1000), {NOISE_SIGMA})
tile = ImageChops.add(tile, Image.merge("RGB", (noise, noise, noise)), 1, -128)
image = Image.new("RGB", (side, side))
for left in range(0, side, 1000):
    for top in range(0, side, 1000):
        image.paste(tile, (left, top))
settings = {{"PNG": {{"compress_level": 1}}, "WEBP": {{"method": 2, "quality": 85}}, "JPEG": {{"quality": 85}}}}
image.save(sys.argv[3], sys.argv[2], **settings[sys.argv[2]])
"""


def run_case(name: str, path: Path) -> None:
    from imaging.core.codecs.headers import read_header
    from imaging.core.memory import bound_heaps
    from imaging.core.options import parse_options
    from imaging.core.pipeline import BackgroundImage, cut_out
    from imaging.core.weights.serving import load_native

    bound_heaps()
    model = load_native("u2net", threads=os.cpu_count() or 1)
    fields = dict(CASES[name][2])
    # The image itself: decoding it twice must not cost twice the memory.
    behind = {"bg_image": fields.pop("bg_image")} if "bg_image" in fields else {}
    options, _ = parse_options(fields, behind)
    file = io.BytesIO(path.read_bytes())
    background = BackgroundImage(io.BytesIO(path.read_bytes()), read_header(file)) if behind else None
    # Proportional: memory shared with the decoding process counts once.
    memory = Memory(os.getpid(), every=0.02)
    with memory.watched():
        cutout = cut_out(file, read_header(file), options, model, background=background)
    peak_gb = memory.peak / 1000
    print(json.dumps({"peak_gb": peak_gb, "timings": cutout.timings, "megabytes": len(cutout.data) / 1e6}))


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None
    main()
