"""The one connection pool to Redis, key names, and a fuse that keeps an outage from slowing down every request."""

import time
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

# Long enough for a busy machine, short enough that callers do not notice an outage.
TIMEOUT_SECONDS = 0.5
# After a failure Redis is left alone for this long: out of a thousand requests a few wait for a timeout, not all.
PAUSE_SECONDS = 2.0
# Values that a cache keeps in a process's memory, some hundred bytes each; past it, the least recently used are evicted.
# Django's own default of 300 would let a caller with many addresses push out the counts of the others.
MEMORY_ENTRIES = 20_000


class _Fuse(AbstractConnection):
    """A connection that fails at once for a while after Redis was unreachable, instead of trying again."""

    def connect(self) -> None:
        """Connect, or raise redis.ConnectionError at once during the pause."""
        _check_fuse()
        try:
            super().connect()  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError):
            _blow_fuse()
            raise

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, or raise redis.ConnectionError at once during the pause: a Redis that hangs keeps its connections open."""
        _check_fuse()
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply. A timeout starts the pause for all connections."""
        try:
            return super().read_response(*args, **options)  # type: ignore[no-untyped-call]
        except redis.TimeoutError:
            _blow_fuse()
            raise


class FusedConnection(_Fuse, redis.Connection):
    """`redis://`"""


class FusedTlsConnection(_Fuse, redis.SSLConnection):
    """`rediss://`"""


_broken_until = [0.0]


def _check_fuse() -> None:
    if time.monotonic() < _broken_until[0]:
        raise redis.ConnectionError("Redis was unreachable a moment ago")


def _blow_fuse() -> None:
    _broken_until[0] = time.monotonic() + PAUSE_SECONDS


def key_name(name: str) -> str:
    """The Redis key for `name`: prefixed with REDIS_PREFIX, so that two deployments can share one database.

    The documented copies of usage are the exception: see `billing.credits.after_post`.
    """
    return f"{settings.REDIS_PREFIX}:{name}" if settings.REDIS_PREFIX else name


def pool_options(url: str) -> dict[str, Any]:
    """Options of every Redis connection pool: the fuse, short timeouts, no retry."""
    return {
        "connection_class": FusedTlsConnection if url.startswith("rediss:") else FusedConnection,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }


def cache_options(url: str, prefix: str) -> dict[str, Any]:
    """Django's settings of the cache: in Redis, or in memory where `url` is empty."""
    if not url:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": MEMORY_ENTRIES}}
    return {
        "BACKEND": "lib.ops.shared_cache.SharedCache",
        "LOCATION": url,
        "KEY_PREFIX": f"{prefix}:cache" if prefix else "cache",
        "OPTIONS": {
            "CONNECTION_POOL_KWARGS": pool_options(url),
            # A pickle would run any code that someone puts into Redis.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        },
    }


@cache
def get_pool() -> redis.ConnectionPool:
    """The pool of this process, for everything but Django's cache, which makes its own with the same options."""
    return redis.ConnectionPool.from_url(settings.REDIS_URL, **pool_options(settings.REDIS_URL))


def get_redis() -> redis.Redis | None:
    """A client, or None where no Redis is configured. Its commands raise redis.RedisError when it is unreachable."""
    return redis.Redis(connection_pool=get_pool()) if settings.REDIS_URL else None


def reset() -> None:
    """Forget the pool and the fuse."""
    get_pool.cache_clear()
    _broken_until[0] = 0.0
