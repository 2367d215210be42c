"""The product against `rembg s`: the same photographs, the same weights, the same machine, in turn (A B A B).

    python -m tests.bench.bench_server [--quick] [--case "1 MP, 8 clients, webp"] [--soak IMAGES] [--model u2netp]

Prints images per second, latencies, memory, bytes, processor time and the medians of ratios; then where a request's time
goes, and the memory of both after a long run of mixed images. Takes half an hour; `--quick` measures only what has a goal,
`--case` only one (it may be repeated), and `--soak 0` leaves out the long run.
The figures are in var/bench/results/bench_server-MODEL.json, too.
"""

import argparse
import functools
import io
import re
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import requests
from PIL import Image
from skimage import data

from tests.bench.load import Memory, Round, Send, processor_seconds, run_round
from tests.bench.rembg_server import RembgServer
from tests.bench.results import Results
from tests.server import ROOT, ProductServer

ENVIRONMENT = ROOT / "var" / "bench" / "rembg"
CLIENTS = (1, 2, 8)
ROUNDS = 3
# Megapixels, and images a client sends in one round.
SIZES = {0.25: 4, 1: 4, 4: 2, 12: 1}
# Size, clients, format: images a second >= 5; p50 <= 0.3; p50 <= 0.5 and bytes <= 1.15; all but the model <= 120 ms.
GOALS: list[tuple[float, int, str]] = [(1, 8, "webp"), (12, 1, "webp"), (12, 1, "png"), (1, 1, "webp")]
CASES: list[tuple[float, int, str]] = [(size, clients, "webp") for size in SIZES for clients in CLIENTS] + [
    (1, 1, "png"),
    (12, 1, "png"),
]
SOAK_IMAGES = 500
SOAK_MEGAPIXELS = (0.25, 1, 1, 1, 4)
STEPS = ("queue", "decode", "inference", "compose", "encode", "total")


@functools.cache
def photographs(megapixels: float) -> list[bytes]:
    """JPEG files of photographs at that size, with the grain that enlarging removed from them."""
    chosen = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())
    return [_jpeg(image, megapixels, seed) for seed, image in enumerate(chosen)]


def _jpeg(pixels: np.ndarray, megapixels: float, seed: int) -> bytes:
    image = Image.fromarray(pixels)
    scale = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    size = (round(image.width * scale), round(image.height * scale))
    large = np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32)
    grain = np.random.default_rng(seed).normal(0, 3, large.shape)
    buffer = io.BytesIO()
    Image.fromarray((large + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


class Ours:
    """The product with its defaults, except for the limits on requests."""

    def __init__(self, folder: Path, model: str) -> None:
        # An operator's Python keeps bytecode: without it each start would compile the whole project again, for seconds.
        python = {"PYTHONDONTWRITEBYTECODE": ""}
        settings = {"RATE_LIMIT_ENABLED": "0", "LOG_LEVEL": "WARNING", "IMAGING_MODELS": model, **python}
        self.server = ProductServer(folder, settings).start()
        assert self.server.process is not None
        self.key = self.server.issue_key("bench@example.com", prepaid=1_000_000)
        self.memory = Memory(self.server.process.pid)
        self.timings: list[dict[str, float]] = []
        self.served_by = ""

    def send(self, image: bytes, format: str = "webp") -> int:
        answer = self.server.rmbg(self.key, files={"image": ("a.jpg", image)}, data={"format": format})
        answer.raise_for_status()
        self.served_by = answer.headers["X-Model"]
        steps = re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"])
        self.timings.append({step: float(duration) for step, duration in steps})
        return len(answer.content)


class Theirs:
    """`rembg s`, which answers with PNG."""

    def __init__(self, folder: Path, model: str) -> None:
        self.model = model
        self.server = RembgServer(folder, ENVIRONMENT).start()
        assert self.server.process is not None
        self.memory = Memory(self.server.process.pid)

    def send(self, image: bytes) -> int:
        files = {"file": ("a.jpg", image)}
        answer = requests.post(self.server.url, files=files, data={"model": self.model}, timeout=600)
        answer.raise_for_status()
        return len(answer.content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--case", choices=list(map(name_of, CASES)), action="append")
    parser.add_argument("--soak", type=int, default=SOAK_IMAGES)
    parser.add_argument("--soak-rembg", type=int, help="fewer images for rembg, whose memory hardly grows")
    parser.add_argument("--model", default="u2net")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    results = Results(f"bench_server-{options.model}", model=options.model, rounds=options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        ours = Ours(Path(folder), options.model)
        theirs = Theirs(Path(folder), options.model)
        try:
            ready = time.perf_counter() - started
            alone = restart(ours)
            print(f"both ready after {ready:.1f} s; the product alone: {alone:.1f} s (goal <= 3)", flush=True)
            results.add("ready after the start", seconds=alone)
            cases = [case for case in CASES if name_of(case) in options.case] if options.case else CASES
            compare(ours, theirs, results, cases=GOALS if options.quick else cases, rounds=options.rounds)
            if options.soak:
                soak(ours, theirs, options.soak, options.soak_rembg or options.soak, results)
        finally:
            ours.server.stop()
            theirs.server.stop()


def name_of(case: tuple[float, int, str]) -> str:
    megapixels, clients, format = case
    return f"{megapixels:g} MP, {clients} clients, {format}"


def restart(ours: Ours) -> float:
    """Seconds from the start of the processes until the product reports that it is ready."""
    ours.server.stop()
    started = time.perf_counter()
    ours.server.serve()
    assert ours.server.process is not None
    ours.memory = Memory(ours.server.process.pid)
    return time.perf_counter() - started


def compare(ours: Ours, theirs: Theirs, results: Results, *, cases: list[tuple[float, int, str]], rounds: int) -> None:
    """Each of `cases`: megapixels, number of clients, our format."""
    for side in (ours, theirs):
        side.send(photographs(1)[0])
    names = (
        f"{'MP':>5} {'clients':>7} {'out':>5}   {'images/s':>15}  {'p50 s':>13}  {'p95 s':>13}  {'kB':>13}  {'CPU s':>13}"
    )
    print(f"\n{names}   ratios: speed p50 bytes CPU")
    for megapixels, clients, format in cases:
        ours.timings.clear()
        taken = take_turns(ours, theirs, megapixels, clients, format, rounds)
        report(megapixels, clients, format, taken)
        results.add(
            name_of((megapixels, clients, format)),
            served_by=ours.served_by,
            rounds=[{"ours": figures(mine), "rembg": figures(other)} for mine, other in taken],
            ratios={name: median_ratio(taken, name) for name in ("per_second", "p50", "size", "effort")},
            steps_ms=steps(ours),
        )
        if clients == 1:
            print_steps(ours)
    print(f"\npeak memory, MB: ours {ours.memory.peak:.0f}, rembg {theirs.memory.peak:.0f}")


def figures(one: Round) -> dict[str, float]:
    return {name: getattr(one, name) for name in ("per_second", "p50", "p95", "size", "effort")}


def median_ratio(taken: list[tuple[Round, Round]], name: str) -> float:
    return statistics.median(getattr(mine, name) / getattr(other, name) for mine, other in taken)


def take_turns(
    ours: Ours, theirs: Theirs, megapixels: float, clients: int, format: str, count: int
) -> list[tuple[Round, Round]]:
    """Send the same images to one and then to the other, `count` times."""
    files = photographs(megapixels)
    images = [files[number % len(files)] for number in range(SIZES[megapixels] * max(clients, 2))]
    send_ours = functools.partial(ours.send, format=format)
    return [
        (watched(ours.memory, send_ours, images, clients), watched(theirs.memory, theirs.send, images, clients))
        for _ in range(count)
    ]


def watched(memory: Memory, send: Send, images: list[bytes], clients: int) -> Round:
    """One round, with the memory and processor time of the server."""
    before = processor_seconds(memory.pid)
    with memory.watched():
        done = run_round(send, images, clients)
    done.effort = (processor_seconds(memory.pid) - before) / len(images)
    return done


def report(megapixels: float, clients: int, format: str, rounds: list[tuple[Round, Round]]) -> None:
    def both(name: str, scale: float = 1, places: int = 2) -> str:
        mine, other = (
            statistics.median(getattr(side, name) for side in sides) * scale for sides in zip(*rounds, strict=True)
        )
        return f"{mine:6.{places}f} {other:6.{places}f}"

    def ratio(name: str) -> str:
        return f"{median_ratio(rounds, name):5.2f}"

    case = f"{megapixels:>5} {clients:>7} {format:>5}"
    figures = (
        f"{both('per_second'):>15}  {both('p50'):>13}  {both('p95'):>13}  {both('size', 1e-3, 0):>13}  {both('effort'):>13}"
    )
    print(f"{case}   {figures}   {ratio('per_second')} {ratio('p50')} {ratio('size')} {ratio('effort')}", flush=True)


def print_steps(ours: Ours) -> None:
    """Where the time goes, against the bare call of the model."""
    medians = steps(ours)
    rest = medians["total"] - medians["inference"]
    listed = ", ".join(f"{step} {duration:.0f}" for step, duration in medians.items())
    print(f"{'':>21}ms: {listed}; total without the model {rest:.0f}; {ours.served_by}", flush=True)


def steps(ours: Ours) -> dict[str, float]:
    """Median milliseconds by step."""
    return {step: statistics.median(sent.get(step, 0.0) for sent in ours.timings) for step in STEPS}


def soak(ours: Ours, theirs: Theirs, our_count: int, their_count: int, results: Results) -> None:
    """Memory of both after so many mixed images from 8 clients, and how it grew over the second half."""
    after = {}
    for name, side, count in (("ours", ours, our_count), ("rembg", theirs, their_count)):
        sizes = [SOAK_MEGAPIXELS[number % len(SOAK_MEGAPIXELS)] for number in range(count)]
        images = [photographs(size)[number % 4] for number, size in enumerate(sizes)]
        run_round(side.send, images[: count // 2], 8)
        half = side.memory.now()
        run_round(side.send, images[count // 2 :], 8)
        after[name] = side.memory.now()
        print(f"{name} after {count} mixed images: {after[name]:.0f} MB, {after[name] / half - 1:+.1%} in the second half")
    print(f"ratio {after['ours'] / after['rembg']:.2f} (goal <= 0.2)")
    results.add(
        "memory after mixed images, MB", images=our_count, images_of_rembg=their_count, **after,
        ratio=after["ours"] / after["rembg"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
