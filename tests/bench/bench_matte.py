"""u2net with each engine that is installed: speed, quality and memory.

    PYTHONPATH=. python tests/bench/bench_matte.py

The engines take turns in every round (A B C D A B C D), and medians are printed: milliseconds per image with one and with
two threads, and images per second of two processes with one thread each. Quality is measured against fp32 on
scikit-image's photographs, none of which calibrated the recipe; each engine's memory is of a process with it alone.
"""

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from imaging.core.matting.engines import Engine
from imaging.core.matting.matte import normalised, shrunk, stretched
from imaging.core.weights.engines import CANDIDATES, ONNXRUNTIME_INT8, is_possible, make_engine
from imaging.core.weights.gate import agreement
from imaging.core.weights.recipe import load_recipe
from tests.bench.results import Results

ROUNDS = 7
STREAMS = 2
STREAM_IMAGES = 8
PHOTOGRAPHS = ("astronaut", "brick", "chelsea", "coffee", "coins", "gravel", "rocket")
KINDS = {str(kind): kind for kind in (*CANDIDATES, ONNXRUNTIME_INT8)}


def main() -> None:
    if len(sys.argv) > 2:
        one_stream(sys.argv[2], int(sys.argv[1]))
        return
    names = [name for name, kind in KINDS.items() if is_possible("u2net", kind)]
    results = Results("bench_matte", model="u2net")
    speeds = {threads: latencies(names, threads) for threads in (1, 2)}
    print(f"{'':18} {'1 thread':>9} {'2 threads':>10} {'2 streams':>11} {'memory':>8}")
    for name in names:
        rate, megabytes = streams(name)
        one, two = speeds[1][name], speeds[2][name]
        print(f"{name:18} {one:6.0f} ms {two:7.0f} ms {rate:9.2f}/s {megabytes:5.0f} MB", flush=True)
        results.add(name, ms_1_thread=one, ms_2_threads=two, per_second_2_streams=rate, megabytes=megabytes)
    for name in names[1:]:
        print(f"{name:18} {quality(name)}", flush=True)


def make(name: str, threads: int) -> Engine:
    return make_engine("u2net", KINDS[name], threads=threads)


def photographs() -> dict[str, np.ndarray]:
    """The model's inputs."""
    from skimage import data  # not in the processes whose memory is measured

    images = {name: Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOGRAPHS}
    return {name: normalised(shrunk(image)) for name, image in images.items()}


def latencies(names: list[str], threads: int) -> dict[str, float]:
    """Median milliseconds per image, by engine."""
    engines = {name: make(name, threads) for name in names}
    batch = photographs()["astronaut"]
    taken: dict[str, list[float]] = {name: [] for name in names}
    for engine in engines.values():
        engine.run(batch)
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            time.sleep(0.1)  # a runtime's threads spin for a while on the cores that the next one needs
            started = time.perf_counter()
            engine.run(batch)
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) * 1000 for name, seconds in taken.items()}


def streams(name: str) -> tuple[float, float]:
    """Images per second of `STREAMS` processes at once, and the peak megabytes of the largest."""
    command = [sys.executable, str(Path(__file__)), str(STREAM_IMAGES), name]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(STREAMS)]
    answers = [[float(number) for number in process.communicate()[0].split()] for process in processes]
    return sum(STREAM_IMAGES / seconds for seconds, _ in answers), max(megabytes for _, megabytes in answers)


def one_stream(name: str, count: int) -> None:
    """Print the seconds for `count` images after a first one, and this process's peak megabytes."""
    engine, batch = make(name, 1), np.zeros((1, 3, 320, 320), np.float32)
    engine.run(batch)
    started = time.perf_counter()
    for _ in range(count):
        engine.run(batch)
    print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def quality(name: str) -> str:
    """How close `name` is to fp32, counting the images that INT8 leaves to fp32 as fp32."""
    exact, engine = make("onnxruntime-fp32", 2), make(name, 2)
    trusted_peak = load_recipe("u2net").trusted_peak if "int8" in name else 0
    figures, left = [], 0
    for batch in photographs().values():
        truth, response = exact.run(batch), engine.run(batch)
        if response.max() < trusted_peak:
            left, response = left + 1, truth
        figures.append(agreement(stretched(response), stretched(truth)))
    error, overlap = np.mean(figures, axis=0)
    return f"MAE {error:.5f}  IoU {overlap:.4f}  {left} of {len(figures)} left to fp32"


if __name__ == "__main__":
    main()
