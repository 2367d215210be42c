"""Images of many threads in one run: each gets its own result or error, and none waits forever."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from imaging.core.matting import matte
from imaging.core.matting.batching import BatchingEngine
from imaging.core.matting.engines import BatchSession, Floats, OnnxRuntimeEngine
from imaging.core.weights import serving
from imaging.core.weights.files import serving_path
from imaging.core.weights.serving import CannotServe
from tests.imaging.core.pictures import photo

SIZE, PATIENCE = 4, 10


def model_input(value: float, side: int = 8) -> Floats:
    return np.full((1, 3, side, side), value, np.float32)


class Network:
    """Doubles the first channel; records its batch sizes; waits for the test when asked to; rejects 0.5."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        self.go_on.set()

    def __call__(self, batch: Floats) -> Floats:
        self.sizes.append(len(batch))
        self.begun.release()
        assert self.go_on.wait(PATIENCE)
        if 0.5 in batch:
            raise ValueError("a half")
        return batch[:, 0] * 2


@contextmanager
def engine(network: Network, gather_seconds: float = 0.0) -> Iterator[BatchingEngine]:
    made = BatchingEngine(network, size=SIZE, gather_seconds=gather_seconds)
    try:
        yield made
    finally:
        network.go_on.set()
        made.close()


def answers(made: BatchingEngine, values: list[float]) -> list[float | str]:
    """One thread per value; what each gets."""

    def ask(value: float) -> float | str:
        try:
            return float(made.run(model_input(value)).max())
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(len(values)) as pool:
        return list(pool.map(ask, values))


def hold(pool: ThreadPoolExecutor, made: BatchingEngine, network: Network) -> None:
    """A run that continues until the test releases it."""
    network.go_on.clear()
    pool.submit(made.run, model_input(0))
    assert network.begun.acquire(timeout=PATIENCE)


def test_everybody_gets_their_own_answer():
    network = Network()
    with engine(network, gather_seconds=0.002) as made:
        assert answers(made, list(range(30))) == [2 * value for value in range(30)]
    assert sum(network.sizes) == 30
    assert max(network.sizes) <= SIZE


def test_what_comes_during_a_run_goes_together_in_the_next_one():
    network = Network()
    with engine(network) as made, ThreadPoolExecutor(8) as pool:
        hold(pool, made, network)
        waiting = [pool.submit(made.run, model_input(value)) for value in range(1, 7)]
        while made._inbox.qsize() < len(waiting):
            pass
        network.go_on.set()
        assert [float(one.result(PATIENCE).max()) for one in waiting] == [2, 4, 6, 8, 10, 12]
    assert network.sizes == [1, 4, 2]


def test_only_the_image_at_fault_gets_the_error():
    network = Network()
    with engine(network, gather_seconds=0.05) as made:
        assert answers(made, [1, 0.5, 2]) == [2, "a half", 4]
        assert answers(made, [5]) == [10], "it goes on"


def test_images_of_different_sizes_do_not_disturb_each_other():
    network = Network()
    with engine(network, gather_seconds=0.05) as made, ThreadPoolExecutor(3) as pool:
        shapes = pool.map(lambda side: made.run(model_input(1, side)).shape, [8, 16, 8])
        assert list(shapes) == [(8, 8), (16, 16), (8, 8)]


def test_an_engine_that_is_closed_answers_what_waits_and_takes_nothing_more():
    network = Network()
    with engine(network) as made, ThreadPoolExecutor(4) as pool:
        hold(pool, made, network)
        waiting = [pool.submit(made.run, model_input(value)) for value in (1, 2)]
        while made._inbox.qsize() < len(waiting):
            pass
        closing = pool.submit(made.close)
        network.go_on.set()
        assert [float(one.result(PATIENCE).max()) for one in waiting] == [2, 4]
        closing.result(PATIENCE)
        with pytest.raises(RuntimeError, match="closed"):
            made.run(model_input(3))


def test_u2net_gives_the_same_in_a_batch_as_alone():
    """On the CPU: the very network that a GPU gets; its results for single images match the serving graph's."""
    model_inputs = [matte.normalised(matte.shrunk(photo(seed=seed))) for seed in (1, 2)]
    session = BatchSession(serving_path("u2net"), device="cpu", threads=2)
    made = BatchingEngine(session.run_batch, size=2, gather_seconds=PATIENCE)
    try:
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(made.run, model_inputs))
    finally:
        made.close()
    np.testing.assert_allclose(together[1], session.run_batch(model_inputs[1])[0], atol=1e-5)
    alone = OnnxRuntimeEngine(serving_path("u2net"), threads=2)
    np.testing.assert_allclose(together[0], alone.run(model_inputs[0]), atol=1e-5)


def test_a_missing_gpu_is_reported(monkeypatch):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(CannotServe, match="IMAGING_DEVICE=cuda"):
        serving.load_native("u2net", device="cuda", threads=1)


def test_a_gpu_that_onnxruntime_silently_does_without_is_reported(monkeypatch):
    """It continues on the CPU when CUDA's libraries are missing."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr("imaging.core.matting.engines.PROVIDERS", {"cuda": ["CPUExecutionProvider"]})
    with pytest.raises(CannotServe, match="IMAGING_DEVICE=cuda"):
        serving.load_native("u2net", device="cuda", threads=1)
