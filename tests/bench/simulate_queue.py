"""How many slots does a rate of images need? A discrete-event simulation of the gate: an M/G/k queue with a limit.

    python tests/bench/simulate_queue.py [--seconds 1.05] [--spread 0.6] [--queue 32] [--deadline 120]

Images arrive at random (a Poisson process), each takes a log-normal time of one slot, `k` slots serve them in order, at
most `queue` wait, none longer than `deadline`. Prints, for each rate, the smallest number of slots with which the slots are
busy for at most 80 % of their time, one image in twenty waits longer than a second and hardly any is refused: once with
one queue for all, once on machines of a few slots with a queue each.
"""

import argparse
import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, replace

SEED = 20
IMAGES = 40_000
# The system starts empty: the first images see less of a queue than later ones.
WARM_UP = 0.1
RATES = (0.5, 1, 10, 100, 1_000)
# The rest is for peaks within the hour, and for a machine that is down.
GOAL_BUSY = 0.8
GOAL_WAIT, GOAL_REFUSED = 1.0, 0.001


@dataclass(frozen=True, slots=True)
class Load:
    """Images per second, and the slot time in seconds of each: mean, and standard deviation as a share of it."""

    rate: float
    seconds: float
    spread: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What callers saw. `busy` is the share of the slots' time; waits are seconds of served callers."""

    busy: float
    wait_p50: float
    wait_p95: float
    wait_p99: float
    refused: float


def simulate(load: Load, slots: int, *, queue: int, deadline: float, images: int = IMAGES, seed: int = SEED) -> Outcome:
    """Run `images` arrivals through `slots` and a first-come-first-served queue of `queue` places."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    mu, sigma = _log_normal(load)
    free = [0.0] * slots  # when each slot is free again
    starts: deque[float] = deque()  # of those who were admitted and may still wait
    waits, refused, worked, now, began = [], 0, 0.0, 0.0, 0.0
    for number in range(images):
        now += chance.expovariate(load.rate)
        service = chance.lognormvariate(mu, sigma)
        while starts and starts[0] <= now:
            starts.popleft()
        counts = number >= WARM_UP * images
        began = began if counts else now
        start = max(now, free[0])
        if (start > now and len(starts) >= queue) or start - now > deadline:
            refused += counts
            continue
        heapq.heapreplace(free, start + service)
        starts.append(start)
        if counts:
            waits.append(start - now)
            worked += service
    waits.sort()
    return Outcome(
        busy=worked / ((now - began) * slots),
        wait_p50=_quantile(waits, 0.5),
        wait_p95=_quantile(waits, 0.95),
        wait_p99=_quantile(waits, 0.99),
        refused=refused / (refused + len(waits)),
    )


def slots_needed(load: Load, *, queue: int, deadline: float) -> tuple[int, Outcome]:
    """The smallest number of slots that meets all goals, and its outcome."""
    slots = math.ceil(load.rate * load.seconds / GOAL_BUSY)
    while not is_good(outcome := simulate(load, slots, queue=max(queue, 4 * slots), deadline=deadline)):
        slots += max(1, slots // 50)
    return slots, outcome


def machines_needed(load: Load, size: int, *, queue: int, deadline: float) -> tuple[int, Outcome]:
    """The same in machines of `size` slots, each with its own queue: a proxy distributes the images blindly."""
    machines = math.ceil(load.rate * load.seconds / GOAL_BUSY / size)
    while True:
        share = replace(load, rate=load.rate / machines)
        outcome = simulate(share, size, queue=queue, deadline=deadline)
        if is_good(outcome):
            return machines, outcome
        machines += max(1, machines // 50)


def is_good(outcome: Outcome) -> bool:
    """Whether it meets the goals for waits and refusals."""
    return outcome.wait_p95 <= GOAL_WAIT and outcome.refused <= GOAL_REFUSED


def _log_normal(load: Load) -> tuple[float, float]:
    """Mean and deviation of the logarithm, for a mean and a relative deviation of the time."""
    variance = math.log(1 + load.spread**2)
    return math.log(load.seconds) - variance / 2, math.sqrt(variance)


def _quantile(ascending: list[float], share: float) -> float:
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))] if ascending else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.05, help="of one slot for one image, mean")
    parser.add_argument("--spread", type=float, default=0.6, help="standard deviation as a share of the mean")
    parser.add_argument("--queue", type=int, default=32, help="places for those who wait")
    parser.add_argument("--deadline", type=float, default=120, help="seconds that an image may wait")
    parser.add_argument("--size", type=int, default=8, help="slots of a machine")
    options = parser.parse_args()
    limits = {"queue": options.queue, "deadline": options.deadline}
    print("| images/s | slots, one queue | busy | wait p50, p95, p99 s | machines | busy | wait p50, p95, p99 s |")
    print("|---|---|---|---|---|---|---|")
    for rate in RATES:
        load = Load(rate, options.seconds, options.spread)
        slots, shared = slots_needed(load, **limits)
        machines, apart = machines_needed(load, options.size, **limits)
        print(f"| {rate:,g} | {slots:,} | {_cells(shared)} | {machines:,} | {_cells(apart)} |", flush=True)


def _cells(outcome: Outcome) -> str:
    return f"{outcome.busy:.0%} | {outcome.wait_p50:.2f}, {outcome.wait_p95:.2f}, {outcome.wait_p99:.2f}"


if __name__ == "__main__":
    main()
