"""Sends images from several clients at once, and measures memory and processor time of the servers' processes."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# A sample of 4 GB takes some 30 ms of a core.
SAMPLE_SECONDS = 0.5
Send = Callable[[bytes], int]


@dataclass
class Round:
    """The result of one round of images: seconds of each, seconds of all, bytes of the last response."""

    latencies: list[float]
    seconds: float
    size: int
    # Of the server, for one image: other programs on the machine hardly change it.
    effort: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def p50(self) -> float:
        return statistics.median(self.latencies)

    @property
    def p95(self) -> float:
        return sorted(self.latencies)[max(0, round(0.95 * len(self.latencies)) - 1)]


def run_round(send: Send, images: Sequence[bytes], clients: int) -> Round:
    """Send `images` with `clients` at a time; `send` returns the length of the response and raises on any error."""

    def timed(image: bytes) -> tuple[float, int]:
        started = time.perf_counter()
        size = send(image)
        return time.perf_counter() - started, size

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        done = list(pool.map(timed, images))
    return Round([seconds for seconds, _ in done], time.perf_counter() - started, done[-1][1])


@dataclass
class Memory:
    """Proportional set size (shared pages are shared out) of a process and its children, in megabytes, over time."""

    pid: int
    samples: list[float] = field(default_factory=list)
    # Each sample walks through all pages of the processes, and blocks their mappings meanwhile.
    every: float = SAMPLE_SECONDS

    @property
    def peak(self) -> float:
        return max(self.samples, default=0.0)

    def watched(self) -> AbstractContextManager[None]:
        """Take samples while the block runs."""
        return repeated(lambda: self.samples.append(self.now()), self.every)

    def now(self) -> float:
        return sum(_pss(pid) for pid in tree(self.pid))


def processor_seconds(pid: int) -> float:
    """What a process and its descendants have used so far, those that have ended included."""
    return sum(_processor_seconds(one) for one in tree(pid))


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # utime, stime, cutime and cstime of proc(5), in ticks.
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def repeated(act: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `act` at this interval in seconds while the block runs."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(seconds):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(found for child in children for found in tree(int(child)))]


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
