"""Requests per minute and requests at once, per account or address: counted atomically, in Redis or in memory.

These limits protect the service, not money. When Redis is away they let requests through and say so in the log; credits
and allowances are counted in the database and never do.
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import cast

import redis
from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from config import redis_client
from config.errors import ApiError

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
# A place taken by a process that was killed is free again after this long. Longer than a request waits and works.
LEASE_SECONDS = 240
RENEW_SECONDS = 60
# A place becomes free whenever a request ends, so a second is a fair time to come back.
CONCURRENCY_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of one subject: `per_minute` requests in any 60 seconds, `at_once` at the same time."""

    subject: str
    per_minute: int
    at_once: int


@dataclass(frozen=True, slots=True)
class State:
    """One limit as it stands: `remaining` of `limit` per `window` seconds, replenished in `reset` seconds."""

    name: str
    limit: int
    window: int
    remaining: int
    reset: int


def anonymous_policy(address: str) -> Policy:
    """The limits of a caller known by its address alone."""
    return Policy(f"address:{address}", settings.ANONYMOUS_REQUESTS_PER_MINUTE, settings.ANONYMOUS_CONCURRENT_REQUESTS)


def count_request(policy: Policy) -> None:
    """Count one request. Raises ApiError 429 `rate_limited`, with Retry-After, past the limit."""
    if not settings.RATE_LIMIT_ENABLED:
        return
    item = RateLimitItemPerMinute(policy.per_minute)
    try:
        allowed = _limiter().hit(item, policy.subject)
    except redis.RedisError:
        logger.warning("rate limiter unreachable, letting the request through", extra={"subject": policy.subject})
        return
    if not allowed:
        reset = max((state.reset for state in states(policy)), default=CONCURRENCY_RETRY_SECONDS)
        raise too_many_requests(max(1, reset))


def check(policy: Policy) -> None:
    """Raise ApiError 429 `rate_limited` if the next request would be refused as one too many in a minute. Counts nothing."""
    current = states(policy)
    if current and not current[0].remaining:
        raise too_many_requests(max(1, current[0].reset))


class Place:
    """One of a subject's concurrent places. It is left at the end of its block, or later by the answer that keeps it."""

    def __init__(self, subject: str, lease: str) -> None:
        self.subject, self.lease = subject, lease
        self.is_kept = False

    def keep(self) -> None:
        """Stay taken after the block, until `leave_soon`."""
        self.is_kept = True

    def leave(self) -> None:
        """Make it free. Twice is once."""
        _keeper.forget(self)
        try:
            _places().leave(self.subject, self.lease)
        except redis.RedisError:
            logger.warning("concurrency limiter unreachable, its lease will lapse", extra={"subject": self.subject})

    def leave_soon(self) -> None:
        """Make it free without waiting for Redis: for the thread that serves all connections."""
        if settings.REDIS_URL:
            _keeper.leave(self)
        else:
            self.leave()


class _Keeper:
    """A thread that renews the leases of this process's places in Redis, and leaves those that have been given up.

    A request may wait for its turn, work and be read for longer than a lease.
    """

    def __init__(self) -> None:
        # A place may be left by the collector, in a thread that has the lock.
        self.lock = threading.RLock()
        self.wake = threading.Event()
        self.held: set[Place] = set()
        self.given_up: list[Place] = []
        self.thread: threading.Thread | None = None

    def hold(self, place: Place) -> None:
        """Renew this place's lease from now on."""
        with self.lock:
            self.held.add(place)
            # Also after a fork, which no thread survives.
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._run, name="places", daemon=True)
                self.thread.start()

    def forget(self, place: Place) -> None:
        """It has been left."""
        with self.lock:
            self.held.discard(place)

    def leave(self, place: Place) -> None:
        """Leave it at the next opportunity."""
        with self.lock:
            self.given_up.append(place)
        self.wake.set()

    def settle(self) -> None:
        """Leave now what has been given up."""
        with self.lock:
            given_up, self.given_up = self.given_up, []
        for place in given_up:
            place.leave()

    def _run(self) -> None:
        renewed = time.monotonic()
        while True:
            self.wake.wait(RENEW_SECONDS)
            self.wake.clear()
            self.settle()
            if time.monotonic() - renewed >= RENEW_SECONDS:
                renewed = time.monotonic()
                self._renew()

    def _renew(self) -> None:
        with self.lock:
            held = list(self.held)
        try:
            _places().renew([(place.subject, place.lease) for place in held])
        except redis.RedisError:
            logger.warning("concurrency limiter unreachable, leases were not renewed")


_keeper = _Keeper()


def settle() -> None:
    """Leave what has been given up: before the process ends."""
    _keeper.settle()


@contextmanager
def concurrent_place(policy: Policy) -> Iterator[Place]:
    """Take one of the subject's concurrent places for the block. Raises ApiError 429 `rate_limited` when all are taken.

    An answer that takes long to be read keeps the place (`Place.keep`) and leaves it when it has been sent.
    """
    place = Place(policy.subject, str(uuid.uuid4()))
    if not settings.RATE_LIMIT_ENABLED:
        yield place
        return
    try:
        taken = _places().take(place.subject, place.lease, policy.at_once)
    except redis.RedisError:
        logger.warning("concurrency limiter unreachable, letting the request through", extra={"subject": policy.subject})
        taken = True
    if not taken:
        raise too_many_requests(CONCURRENCY_RETRY_SECONDS)
    if settings.REDIS_URL:
        _keeper.hold(place)
    try:
        yield place
    except BaseException:
        place.is_kept = False
        raise
    finally:
        if not place.is_kept:
            place.leave()


def states(policy: Policy) -> list[State]:
    """The request limit of a subject as it stands; empty when limits are off or cannot be read."""
    if not settings.RATE_LIMIT_ENABLED:
        return []
    try:
        stats = _limiter().get_window_stats(RateLimitItemPerMinute(policy.per_minute), policy.subject)
    except redis.RedisError:
        return []
    reset = max(0, round(stats.reset_time - time.time()))
    return [State("minute", policy.per_minute, WINDOW_SECONDS, max(0, stats.remaining), reset)]


def headers(limits: Sequence[State]) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10; nothing without a limit."""
    if not limits:
        return {}
    return {
        "RateLimit-Policy": ", ".join(f'"{state.name}";q={state.limit};w={state.window}' for state in limits),
        "RateLimit": ", ".join(f'"{state.name}";r={state.remaining};t={state.reset}' for state in limits),
    }


def too_many_requests(retry_after: int) -> ApiError:
    """The contract's answer to a caller who is too quick."""
    return ApiError(
        429,
        "rate_limited",
        "You're making requests too quickly, Please Upgrade or slow down.",
        headers={"Retry-After": str(retry_after)},
    )


def reset() -> None:
    """Forget every connection and every count kept in memory."""
    redis_client.reset()
    _limiter.cache_clear()
    _places.cache_clear()


@cache
def _limiter() -> MovingWindowRateLimiter:
    if settings.REDIS_URL:
        return MovingWindowRateLimiter(RedisStorage(settings.REDIS_URL, connection_pool=redis_client.get_pool()))
    return MovingWindowRateLimiter(MemoryStorage())


class _MemoryPlaces:
    """Concurrent places counted in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.leases: dict[str, set[str]] = {}

    def take(self, subject: str, lease: str, limit: int) -> bool:
        with self.lock:
            held = self.leases.setdefault(subject, set())
            if len(held) >= limit:
                return False
            held.add(lease)
            return True

    def leave(self, subject: str, lease: str) -> None:
        with self.lock:
            held = self.leases.get(subject, set())
            held.discard(lease)
            if not held:
                self.leases.pop(subject, None)

    def renew(self, leases: Sequence[tuple[str, str]]) -> None:
        """They do not lapse."""


class _RedisPlaces:
    """Concurrent places shared by all processes: a sorted set of leases per subject, scored by when they lapse."""

    # One script, so that no two processes can see the same free place.
    TAKE = """
    local now = tonumber(redis.call('TIME')[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
    redis.call('EXPIRE', KEYS[1], ARGV[3])
    return 1
    """
    # Also for one that has lapsed or was lost with Redis: its request still runs.
    RENEW = """
    redis.call('ZADD', KEYS[1], tonumber(redis.call('TIME')[1]) + tonumber(ARGV[2]), ARGV[1])
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    """

    def __init__(self, client: redis.Redis) -> None:
        self.redis = client
        self.take_script = self.redis.register_script(self.TAKE)
        self.renew_script = self.redis.register_script(self.RENEW)

    def take(self, subject: str, lease: str, limit: int) -> bool:
        return bool(cast(int, self.take_script(keys=[self._name(subject)], args=[lease, limit, LEASE_SECONDS])))

    def leave(self, subject: str, lease: str) -> None:
        self.redis.zrem(self._name(subject), lease)

    def renew(self, leases: Sequence[tuple[str, str]]) -> None:
        for subject, lease in leases:
            self.renew_script(keys=[self._name(subject)], args=[lease, LEASE_SECONDS])

    def _name(self, subject: str) -> str:
        return f"concurrent:{subject}"


@cache
def _places() -> _MemoryPlaces | _RedisPlaces:
    client = redis_client.get_redis()
    return _MemoryPlaces() if client is None else _RedisPlaces(client)
