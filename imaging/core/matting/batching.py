"""Runs a network on several images at once, which keeps a GPU busy. Each caller still passes one image."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from imaging.core.matting.engines import Floats

# Threads with images in the same batch return at nearly the same time: a wait this long catches most of them.
GATHER_SECONDS = 0.004

RunBatch = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class _Waiting:
    image: Floats
    since: float = field(default_factory=time.monotonic)
    response: "Future[Floats]" = field(default_factory=Future)


class BatchingEngine:
    """An `Engine` for many threads: images that wait at the same time go through the network together.

    A separate thread runs the network, so create it in the process that uses it, after any fork.
    """

    def __init__(self, run_batch: RunBatch, *, size: int, gather_seconds: float = GATHER_SECONDS) -> None:
        """`run_batch` returns the responses (n, height, width) to images (n, 3, height, width), 1 <= n <= `size`.

        An image waits at most `gather_seconds` for others before a run begins.
        """
        self._run_batch = run_batch
        self._size = size
        self._gather_seconds = gather_seconds
        self._inbox: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="batches", daemon=True)
        self._thread.start()

    def run(self, batch: Floats, *, give_memory_back: bool = False) -> Floats:
        """See Engine. Raises what the run raised for this image; RuntimeError once the engine is closed."""
        waiting = _Waiting(batch)
        # Nothing is queued after the sentinel that ends the thread: it would never be answered.
        with self._closing:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._inbox.put(waiting)
        return waiting.response.result()

    def close(self) -> None:
        """Answer what waits, then end the thread."""
        with self._closing:
            self._closed = True
            self._inbox.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (first := self._inbox.get()) is not None:
            gathered, is_last = self._gather(first)
            for alike in _by_shape(gathered):
                self._answer(alike)
            if is_last:
                return

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """`first` and the other waiting images, and whether the engine was closed."""
        gathered, until = [first], first.since + self._gather_seconds
        while len(gathered) < self._size:
            try:
                # Images that arrived during the last run are already queued; only a lone image waits for others.
                found = self._inbox.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if found is None:
                return gathered, True
            gathered.append(found)
        return gathered, False

    def _answer(self, alike: Sequence[_Waiting]) -> None:
        try:
            responses = self._run_batch(np.concatenate([waiting.image for waiting in alike]))
            # Copies: a view would keep all responses for as long as one of them lives.
            found = [responses[number].copy() for number in range(len(alike))]
        except BaseException as error:
            self._answer_failed(alike, error)
            return
        for waiting, response in zip(alike, found, strict=True):
            waiting.response.set_result(response)

    def _answer_failed(self, alike: Sequence[_Waiting], error: BaseException) -> None:
        """A lone image gets the error. Of several, each is run separately: there may not have been memory for all."""
        if len(alike) == 1:
            alike[0].response.set_exception(error)
            return
        for waiting in alike:
            self._answer([waiting])


def _by_shape(gathered: Sequence[_Waiting]) -> list[list[_Waiting]]:
    shapes: dict[tuple[int, ...], list[_Waiting]] = {}
    for waiting in gathered:
        shapes.setdefault(waiting.image.shape, []).append(waiting)
    return list(shapes.values())
