"""Times the engines of a model and judges their mattes, each in a process of its own, which may crash."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imaging.core.cpu import count_cores
from imaging.core.matting.matte import normalised, shrunk
from imaging.core.weights.choice import Choice, Figure, this_machine
from imaging.core.weights.engines import CANDIDATES, ONNXRUNTIME, Kind, is_possible, make_engine
from imaging.core.weights.gate import Floats, photographs, refusal
from imaging.core.weights.recipe import load_recipe
from imaging.core.weights.registry import NATIVE

# An engine that needs more processor time than this for an image is timed with fewer of them.
_SLOW_SECONDS = 3.0
_TIMEOUT_SECONDS = 300
_RUN = "run\n"


def measure(name: str, scratch: Path, say: Callable[[str], None]) -> Choice:
    """Measure the engines that are installed for model `name`, a few seconds each. `scratch` is an empty folder.

    An engine that fails is refused. `say` gets a line for each engine. Raises RuntimeError if onnxruntime fails.
    """
    kinds = [kind for kind in CANDIDATES if is_possible(name, kind)]
    truths, figures = None, []
    # onnxruntime comes first: the others are compared with it.
    with _progress(name, len(kinds) * _runs()) as bar:
        for kind in kinds:
            figure, responses = _try(name, kind, scratch, bar.update)
            if kind == ONNXRUNTIME and figure.refusal:
                raise RuntimeError(f"onnxruntime cannot run {name}: {figure.refusal}")
            truths = responses if truths is None else truths
            figures.append(figure if figure.refusal else _judged(name, figure, responses, truths))
    exact = min(figure.effort for figure in figures if figure.precision == "fp32" and not figure.refusal)
    choice = Choice(this_machine(name), [_with_fallback(figure, exact) for figure in figures])
    for figure in choice.figures:
        say(f"  {_described(figure)}")
    return choice


def _judged(name: str, figure: Figure, responses: Floats, truths: Floats) -> Figure:
    """INT8 is judged as it is served: images in which it finds no clear subject are run in fp32."""
    peak = load_recipe(name).trusted_peak if figure.precision == "int8" else 0.0
    is_left = responses.max(axis=(1, 2)) < peak
    served = np.where(is_left[:, np.newaxis, np.newaxis], truths, responses)
    return replace(figure, refusal=refusal(served, truths), left=float(is_left.mean()))


def _with_fallback(figure: Figure, exact: float) -> Figure:
    return replace(figure, effort=figure.effort + figure.left * exact)


def _described(figure: Figure) -> str:
    times = ", ".join(f"{taken:.2f} s on {threads} threads" for threads, taken in sorted(figure.seconds.items()))
    verdict = f"; refused: {figure.refusal}" if figure.refusal else ""
    return f"{figure.kind}: {times or 'no result'}{verdict}".replace("on 1 threads", "on 1 thread")


def _progress(name: str, runs: int) -> Any:
    from tqdm import tqdm

    # disable=None: only on a terminal.
    return tqdm(desc=f"timing {name}", total=runs, leave=False, disable=None)


# --- One engine, in a process of its own ---------------------------------------------------------


def thread_counts() -> list[int]:
    """The numbers of threads that are timed: all cores, four if there are more, one."""
    cores = count_cores()
    return sorted({1, min(4, cores), cores}, reverse=True)


def _runs() -> int:
    return len(thread_counts()) * 2 + 2


def _try(name: str, kind: Kind, scratch: Path, step: Callable[[], Any]) -> tuple[Figure, Floats]:
    """What `kind` took, refused if something went wrong, and its responses to the gate's images."""
    responses = scratch / "responses.npy"
    command = [sys.executable, "-m", "imaging.core.weights.measuring", name, kind.runtime, kind.precision, str(responses)]
    figures: dict[str, Any] = {}
    said = "it said nothing"
    with subprocess.Popen(  # noqa: S603  a fixed command, no shell
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path(__file__).parents[3]
    ) as process:
        timer = threading.Timer(_TIMEOUT_SECONDS, process.kill)
        timer.start()
        try:
            for line in process.stdout or ():
                if line.startswith("{"):
                    figures = json.loads(line)
                elif line == _RUN:
                    step()
                else:
                    said = line.strip() or said
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    if process.returncode or not figures:
        problem = f"{said} (status {process.returncode})"
        return Figure(kind.runtime, kind.precision, {}, refusal=problem), np.zeros(0, np.float32)
    seconds = {int(threads): taken for threads, taken in figures["seconds"].items()}
    return Figure(kind.runtime, kind.precision, seconds, figures["effort"]), np.load(responses)


def main(name: str, runtime: str, precision: str, target: str) -> None:
    """Print a line for each run, then the figures as JSON; write the responses to `target`."""
    network = NATIVE[name].network
    batches = [normalised(shrunk(image, network), network) for image in photographs()]
    seconds: dict[int, float] = {}
    for threads in thread_counts():
        runs = _timed(name, Kind(runtime, precision), threads, batches)
        if not seconds:
            np.save(target, np.stack([response for *_, response in runs]))
        seconds[threads] = min(taken for taken, *_ in runs)
        effort = min(spent for _, spent, _ in runs)
        # All for the gate, then two for the timing, or one where it takes long.
        batches = batches[: 1 if effort > _SLOW_SECONDS else 2]
    sys.stdout.write(json.dumps({"seconds": seconds, "effort": effort}) + "\n")


def _timed(name: str, kind: Kind, threads: int, batches: Sequence[Floats]) -> list[tuple[float, float, Floats]]:
    """Seconds, processor seconds and response for each batch."""
    engine, runs = make_engine(name, kind, threads=threads), []
    for batch in batches:
        started, spent = time.perf_counter(), time.process_time()
        response = engine.run(batch)
        runs.append((time.perf_counter() - started, time.process_time() - spent, response))
        sys.stdout.write(_RUN)
        sys.stdout.flush()
    return runs


if __name__ == "__main__":
    main(*sys.argv[1:])
