"""The one connection pool to Redis, and a fuse that keeps an outage from slowing every request down."""

import time
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

# Long enough for a busy machine, short enough that nobody notices an outage.
TIMEOUT_SECONDS = 0.5
# After a failure Redis is left alone for this long: of a thousand requests a few wait for a timeout, not all.
PAUSE_SECONDS = 2.0


class _Fuse(AbstractConnection):
    """A connection that, once Redis was found unreachable, fails at once for a while instead of trying again."""

    def connect(self) -> None:
        """Connect, or raise redis.ConnectionError at once during the pause."""
        if time.monotonic() < _broken_until[0]:
            raise redis.ConnectionError("Redis was unreachable a moment ago")
        try:
            super().connect()  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError):
            _broken_until[0] = time.monotonic() + PAUSE_SECONDS
            raise


class FusedConnection(_Fuse, redis.Connection):
    """`redis://`"""


class FusedTlsConnection(_Fuse, redis.SSLConnection):
    """`rediss://`"""


_broken_until = [0.0]


def pool_options(url: str) -> dict[str, Any]:
    """What every pool of connections to Redis is made with: the fuse, short timeouts, no second try."""
    return {
        "connection_class": FusedTlsConnection if url.startswith("rediss:") else FusedConnection,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
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
