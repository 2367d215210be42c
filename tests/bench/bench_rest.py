"""Everything but the model, against another revision of this code: milliseconds from the file to the file.

    python -m tests.bench.bench_rest [--against REVISION] [--megapixels 1 12] [--formats webp] [--rounds 15]

Both revisions get the same photographs and the same responses of the network, computed once. They take turns (A B A B), and
medians and the median of ratios are printed: the time of one image on an idle server, with all cores; the processor time of
that; and the time of eight images, as many at once as there are cores, as when all slots are taken. Then the bytes of both,
and the peak signal-to-noise ratio between them.
"""

import argparse
import functools
import inspect
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from tests.bench.results import Results

# The revision before this work was made faster.
BASE = "67fdf52"
ROOT = Path(__file__).parents[2]
CORES = len(os.sched_getaffinity(0))
BUSY_IMAGES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default=BASE)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1, 12])
    parser.add_argument("--formats", nargs="+", default=["webp"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    from tests.bench.results import Results  # not in the processes that run another revision

    results = Results("bench_rest", against=options.against, rounds=options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        cases = prepare(Path(folder), options.megapixels)
        base = Path(folder) / "base"
        base.mkdir()
        archive = subprocess.run(
            ["git", "archive", options.against, "imaging"], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x"], cwd=base, input=archive.stdout, check=True)
        with side(base, Path(folder)) as theirs, side(ROOT, Path(folder)) as ours:
            for format in options.formats:
                for megapixels, names in cases.items():
                    compare(f"{megapixels:g} MP to {format}", names, format, options.rounds, theirs, ours, results)


def prepare(folder: Path, sizes: list[float]) -> dict[float, list[str]]:
    """Write the photographs and the responses to them into `folder`; their names by size."""
    from imaging.core.matting.engines import OnnxRuntimeEngine
    from imaging.core.matting.matte import normalised, shrunk
    from imaging.core.weights.files import serving_path
    from tests.bench.bench_server import photographs

    engine = OnnxRuntimeEngine(serving_path("u2net"), threads=CORES)
    cases: dict[float, list[str]] = {}
    for megapixels in sizes:
        for number, photograph in enumerate(photographs(megapixels)):
            name = f"{megapixels:g}-{number}"
            (folder / f"{name}.jpg").write_bytes(photograph)
            np.save(folder / f"{name}.npy", engine.run(normalised(shrunk(Image.open(io.BytesIO(photograph))))))
            cases.setdefault(megapixels, []).append(name)
    return cases


class Side:
    """A process that runs one revision."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def side(code: Path, folder: Path) -> Iterator[Side]:
    command = [sys.executable, str(Path(__file__)), "--serve", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    with subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Side(process)
        finally:
            process.kill()


def compare(title: str, names: list[str], format: str, rounds: int, theirs: Side, ours: Side, results: "Results") -> None:
    print(f"\n{title:20} {'before':>9} {'now':>9} {'ratio':>6}")
    for unit, busy in (("one image, ms", False), (f"{BUSY_IMAGES} images, ms", True)):
        pairs = []
        for number in range(rounds if not busy else max(3, rounds // 3)):
            # All photographs in one round: they differ in how much of them is edge.
            chosen = names if not busy else [names[number % len(names)]]
            pairs.append([[side.ask(name=name, format=format, busy=busy) for name in chosen] for side in (theirs, ours)])
        for kind in ("wall", "cpu"):
            seconds = [[sum(answer[kind] for answer in answers) / len(answers) for answers in pair] for pair in pairs]
            before, now = (statistics.median(values) * 1000 for values in zip(*seconds, strict=True))
            ratio = statistics.median(ours / theirs for theirs, ours in seconds)
            results.add(f"{title}, {unit}", clock=kind, before=before, now=now, ratio=ratio, rounds=seconds)
            print(
                f"{unit + (' of processor' if kind == 'cpu' else ''):20} {before:9.1f} {now:9.1f} {ratio:6.2f}", flush=True
            )
    for name in names:
        files = [
            Path(side.ask(name=name, format=format, busy=False, keep=True)["file"]).read_bytes() for side in (theirs, ours)
        ]
        print(
            f"  {name:18} {len(files[0]):9,} {len(files[1]):9,} {len(files[1]) / len(files[0]):6.3f}  {difference(*files)}"
        )


def difference(before: bytes, now: bytes) -> str:
    """Of alpha, and of the colours where they can be seen, in dB."""
    first, second = (np.asarray(Image.open(io.BytesIO(file)).convert("RGBA"), np.int16) for file in (before, now))
    alpha = np.abs(first[..., 3] - second[..., 3]).max()
    visible = (first[..., 3] > 0) & (second[..., 3] > 0)
    error = float(np.square(first[visible][:, :3] - second[visible][:, :3], dtype=np.float32).mean())
    return f"alpha differs by {alpha} at most, colours " + (
        f"{10 * np.log10(255**2 / error):.1f} dB" if error else "are equal"
    )


def serve(folder: Path) -> None:
    """Answer one order for each line of standard input, with the code that PYTHONPATH names."""
    from imaging.core.memory import bound_heaps

    bound_heaps()
    for line in sys.stdin:
        print(json.dumps(answer(folder, **json.loads(line))), flush=True)


def answer(folder: Path, name: str, format: str, busy: bool, keep: bool = False) -> dict[str, Any]:
    started, used = time.perf_counter(), time.process_time()
    if busy:
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(lambda _: cut_out(folder, name, format, 1), range(BUSY_IMAGES)))
        data = b""
    else:
        data = cut_out(folder, name, format, CORES)
    found: dict[str, Any] = {"wall": time.perf_counter() - started, "cpu": time.process_time() - used}
    if keep:
        file = folder / f"result-{os.getpid()}"
        file.write_bytes(data)
        found["file"] = str(file)
    return found


def cut_out(folder: Path, name: str, format: Any, cores: int) -> bytes:
    """The whole work on one image, but for the network."""
    from imaging.core import pipeline
    from imaging.core.codecs.checks import check_image
    from imaging.core.matting import matte
    from imaging.core.options import CutoutOptions

    photograph, response = recorded(folder, name)
    header, _ = check_image(io.BytesIO(photograph), name="a.jpg", size=len(photograph))
    assert header is not None
    # The revisions before this work used one core.
    extra: dict[str, Any] = {"cores": cores} if "cores" in inspect.signature(pipeline.cut_out).parameters else {}
    # U2Net before there was more than one network.
    network_model = getattr(matte, "NetworkModel" if hasattr(matte, "NetworkModel") else "U2Net")
    model = network_model(Recording(response), name="u2net")
    return pipeline.cut_out(io.BytesIO(photograph), header, CutoutOptions(format=format), model, **extra).data


@functools.cache
def recorded(folder: Path, name: str) -> tuple[bytes, np.ndarray]:
    return (folder / f"{name}.jpg").read_bytes(), np.load(folder / f"{name}.npy")


class Recording:
    """An engine whose response is known."""

    def __init__(self, response: np.ndarray) -> None:
        self._response = response

    def run(self, batch: np.ndarray, *, give_memory_back: bool = False) -> np.ndarray:
        return self._response


if __name__ == "__main__":
    main()
