"""Requests per minute and requests at once, per account or address: counted atomically, in Redis or in memory.

These limits protect the service, not money: credits and allowances are counted in the database. While Redis is unreachable
or full each process counts for itself, and logs that.
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
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond, WindowStats
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from lib.ops import redis_client
from lib.ops.lifecycle import BackgroundThread
from lib.web.errors import ApiError

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
# The place of a killed process is free again after this long: longer than a request waits and works.
LEASE_SECONDS = 240
FAILURE_SECONDS = 600
# For an address: its default number of images a day.
ANONYMOUS_FAILURES = 5
# For an account, per request a minute of its plan: 60 for 20 a minute. A shop notices nothing until three in ten of all
# images that its plan allows in ten minutes are broken in a way that only decoding shows.
FAILURES_PER_REQUEST = 3
# For an account's batches, in place of that: a batch may be a whole folder of broken files.
BATCH_FAILURES_FACTOR = 10
RENEW_SECONDS = 60
# Where megapixels are counted in place of requests, as other services do: 500 a minute for 20 requests.
MEGAPIXELS_PER_REQUEST = 25
# A place is freed whenever a request ends, so a second is a fair time to retry.
CONCURRENCY_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits of one subject: `per_minute` requests in any 60 seconds, `at_once` at the same time.

    `failures` images in any FAILURE_SECONDS may fail during processing, which costs us as much as a delivered one.
    """

    subject: str
    per_minute: int
    at_once: int
    failures: int = ANONYMOUS_FAILURES


@dataclass(frozen=True, slots=True)
class State:
    """The current state of a limit: `remaining` of `limit` per `window` seconds, replenished in `reset` seconds."""

    name: str
    limit: int
    window: int
    remaining: int
    reset: int


def anonymous_policy(address: str) -> Policy:
    """The limits of a caller known only by its address."""
    per_minute, at_once = settings.ANONYMOUS_REQUESTS_PER_MINUTE, settings.ANONYMOUS_CONCURRENT_REQUESTS
    return Policy(f"address:{address}", per_minute, at_once)


def count_request(policy: Policy) -> None:
    """Count one request. Raises ApiError 429 `rate_limited`, with Retry-After, past the limit."""
    if not settings.RATE_LIMIT_ENABLED:
        return
    if not _hit(RateLimitItemPerMinute(policy.per_minute), policy.subject):
        reset = max((state.reset for state in states(policy)), default=CONCURRENCY_RETRY_SECONDS)
        raise ApiError("rate_limited", retry_after=max(1, reset))


def count_widely(subject: str, per_minute: int) -> int:
    """Count one cheap request, such as a read. Returns 0 within the limit, else the seconds until the next is allowed."""
    if not settings.RATE_LIMIT_ENABLED or _hit(RateLimitItemPerMinute(per_minute), subject):
        return 0
    return max((state.reset for state in states(Policy(subject, per_minute, 1))), default=0) or CONCURRENCY_RETRY_SECONDS


def check_failures(policy: Policy, *, of_batch: bool = False) -> None:
    """Raise ApiError 429 `rate_limited`, with Retry-After, if too many of the subject's images have failed lately.

    `of_batch` for images of batches, which are counted separately: a folder of broken files sent as a batch blocks no other
    request, and only the next batch is refused, never a batch item.
    """
    if not settings.RATE_LIMIT_ENABLED:
        return
    stats = _stats(*_failures(policy, of_batch=of_batch))
    if stats.remaining <= 0:
        raise ApiError("rate_limited", retry_after=max(1, round(stats.reset_time - time.time())))


def count_failure(policy: Policy, *, of_batch: bool = False) -> None:
    """Count an image that failed during processing. Images processed concurrently may exceed the limit."""
    if settings.RATE_LIMIT_ENABLED:
        _hit(*_failures(policy, of_batch=of_batch))


def _failures(policy: Policy, *, of_batch: bool) -> tuple[RateLimitItem, str, str]:
    kind, factor = ("batch-failures", BATCH_FAILURES_FACTOR) if of_batch else ("failures", 1)
    return RateLimitItemPerSecond(policy.failures * factor, FAILURE_SECONDS), kind, policy.subject


def check(policy: Policy) -> None:
    """Raise ApiError 429 `rate_limited` if the next request would exceed the limit per minute. Counts nothing."""
    current = states(policy)
    if current and not current[0].remaining:
        raise ApiError("rate_limited", retry_after=max(1, current[0].reset))


def count_megapixels(policy: Policy, megapixels: int) -> None:
    """Count the megapixels of an image, at least 1. Raises ApiError 429 `rate_limited`, with Retry-After, past the limit."""
    if not settings.RATE_LIMIT_ENABLED:
        return
    item, *subject = _megapixels(policy)
    # An image of more megapixels than the limit takes all of it.
    if not _hit(item, *subject, cost=max(1, min(megapixels, item.amount))):
        raise _too_many_megapixels(policy)


def check_megapixels(policy: Policy) -> None:
    """Raise ApiError 429 `rate_limited` if not one more megapixel is allowed. Counts nothing."""
    state = find_megapixels(policy)
    if state is not None and not state.remaining:
        raise _too_many_megapixels(policy)


def find_megapixels(policy: Policy) -> State | None:
    """The current limit of megapixels a minute; None when limits are off."""
    if not settings.RATE_LIMIT_ENABLED:
        return None
    item, *subject = _megapixels(policy)
    stats = _stats(item, *subject)
    reset = max(0, round(stats.reset_time - time.time()))
    return State("megapixels", item.amount, WINDOW_SECONDS, max(0, stats.remaining), reset)


def _megapixels(policy: Policy) -> tuple[RateLimitItem, str, str]:
    return RateLimitItemPerMinute(policy.per_minute * MEGAPIXELS_PER_REQUEST), "megapixels", policy.subject


def _too_many_megapixels(policy: Policy) -> ApiError:
    state = find_megapixels(policy)
    return ApiError("rate_limited", retry_after=max(1, state.reset if state else CONCURRENCY_RETRY_SECONDS))


class Place:
    """One of a subject's concurrent places. It is freed at the end of its block, or later by the response that keeps it."""

    def __init__(self, subject: str) -> None:
        self.subject, self.lease = subject, str(uuid.uuid4())
        self.is_kept = False
        self._counted_in: _MemoryPlaces | _RedisPlaces | None = None

    def take(self, limit: int) -> bool:
        """Count it, in this process while Redis is unreachable. False if `limit` are taken."""
        try:
            self._counted_in = _places()
            taken = self._counted_in.take(self.subject, self.lease, limit)
        except redis.RedisError:
            logger.warning("concurrency limiter unreachable, counting in this process", extra={"subject": self.subject})
            self._counted_in = _own_places()
            taken = self._counted_in.take(self.subject, self.lease, limit)
        if taken and self.is_leased:
            renewer.hold(self)
        return taken

    @property
    def is_leased(self) -> bool:
        """Whether it expires in Redis unless it is renewed."""
        return isinstance(self._counted_in, _RedisPlaces)

    def keep(self) -> None:
        """Stay taken after the block, until `leave_soon`."""
        self.is_kept = True

    def leave(self) -> None:
        """Free it. Idempotent."""
        renewer.forget(self)
        if self._counted_in is None:
            return
        try:
            self._counted_in.leave(self.subject, self.lease)
        except redis.RedisError:
            logger.warning("concurrency limiter unreachable, its lease will expire", extra={"subject": self.subject})

    def leave_soon(self) -> None:
        """Free it without waiting for Redis: for the thread that serves all connections."""
        if self.is_leased:
            renewer.leave(self)
        else:
            self.leave()


class _LeaseRenewer(BackgroundThread):
    """Renews the leases of this process's places in Redis, and frees those that have been given up.

    A request may wait, run and have its response read for longer than a lease.
    """

    name = "places"
    failure = "places of concurrent requests were not renewed"
    # Frees the places that were given up before the process ends.
    has_last_round = True

    def reset(self) -> None:
        super().reset()
        # The garbage collector may free a place in a thread that already holds the lock.
        self.lock = threading.RLock()
        self.held: set[Place] = set()
        self.given_up: list[Place] = []
        self.renewed = time.monotonic()

    def hold(self, place: Place) -> None:
        """Renew this place's lease from now on."""
        with self.lock:
            self.held.add(place)
        self.start()

    def forget(self, place: Place) -> None:
        """Stop renewing the lease of a freed place."""
        with self.lock:
            self.held.discard(place)

    def leave(self, place: Place) -> None:
        """Free it at the next opportunity."""
        with self.lock:
            self.given_up.append(place)
        self.wake()

    def pause(self) -> float:
        return RENEW_SECONDS

    def round(self) -> None:
        with self.lock:
            given_up, self.given_up = self.given_up, []
        for place in given_up:
            place.leave()
        if time.monotonic() - self.renewed >= RENEW_SECONDS:
            self.renewed = time.monotonic()
            self._renew()

    def _renew(self) -> None:
        with self.lock:
            held = [(place.subject, place.lease) for place in self.held]
        try:
            _places().renew(held)
        except redis.RedisError:
            logger.warning("concurrency limiter unreachable, leases were not renewed")


renewer = _LeaseRenewer()


@contextmanager
def concurrent_place(policy: Policy) -> Iterator[Place]:
    """Hold one of the subject's concurrent places for the block. Raises ApiError 429 `rate_limited` when all are taken.

    A response that takes long to be read keeps the place (`Place.keep`) and frees it once it has been sent.
    """
    place = Place(policy.subject)
    if settings.RATE_LIMIT_ENABLED and not place.take(policy.at_once):
        raise ApiError("rate_limited", retry_after=CONCURRENCY_RETRY_SECONDS)
    try:
        yield place
    except BaseException:
        place.is_kept = False
        raise
    finally:
        if not place.is_kept:
            place.leave()


def states(policy: Policy) -> list[State]:
    """The current request limit of a subject; empty when limits are off or cannot be read."""
    if not settings.RATE_LIMIT_ENABLED:
        return []
    stats = _stats(RateLimitItemPerMinute(policy.per_minute), policy.subject)
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


def reset() -> None:
    """Drop every connection and every count kept in memory."""
    redis_client.reset()
    for made in (_limiter, _own_limiter, _places, _own_places):
        made.cache_clear()


def _hit(item: RateLimitItem, *subject: str, cost: int = 1) -> bool:
    """Count `cost` hits; False, and none counted, if the item's window has no room for them."""
    try:
        return _limiter().hit(item, *subject, cost=cost)
    except redis.RedisError:
        logger.warning("rate limiter unreachable, counting in this process", extra={"subject": "/".join(subject)})
        return _own_limiter().hit(item, *subject, cost=cost)


def _stats(item: RateLimitItem, *subject: str) -> WindowStats:
    """What remains of the item's window, and when it resets."""
    try:
        return _limiter().get_window_stats(item, *subject)
    except redis.RedisError:
        return _own_limiter().get_window_stats(item, *subject)


@cache
def _limiter() -> MovingWindowRateLimiter:
    if not settings.REDIS_URL:
        return _own_limiter()
    pool, prefix = redis_client.get_pool(), redis_client.key_name("LIMITS")
    return MovingWindowRateLimiter(RedisStorage(settings.REDIS_URL, connection_pool=pool, key_prefix=prefix))


@cache
def _own_limiter() -> MovingWindowRateLimiter:
    """Counts in this process's memory."""
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
        """Nothing to do: places in memory do not expire."""


class _RedisPlaces:
    """Concurrent places shared by all processes: a sorted set of leases per subject, scored by expiry time."""

    # One script, so that no two processes can see the same free place.
    TAKE = """
    local now = tonumber(redis.call('TIME')[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
    redis.call('EXPIRE', KEYS[1], ARGV[3])
    return 1
    """
    # Also for one that has expired or was lost with Redis: its request still runs.
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
        return redis_client.key_name(f"concurrent:{subject}")


@cache
def _places() -> _MemoryPlaces | _RedisPlaces:
    client = redis_client.get_redis()
    return _own_places() if client is None else _RedisPlaces(client)


@cache
def _own_places() -> _MemoryPlaces:
    return _MemoryPlaces()
