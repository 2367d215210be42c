"""Which workers of the queue `inference` live, and which model each has: a sorted set in Redis, by the time of their end."""

import threading
import uuid
from contextlib import suppress
from typing import Any, cast

import redis

from config.redis_client import get_redis, key_name
from imaging.executor import store

KEY = "imaging:workers"
# A worker tells that it lives three times as often.
ALIVE_SECONDS = 15

# By Redis's own clock: those of the machines differ. KEYS set; ARGV worker and model, seconds.
_ANNOUNCE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
"""
# KEYS set.
_FIND = "return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. redis.call('TIME')[1], '+inf')"


def announce(worker: str, model: str) -> None:
    """The worker lives, and has loaded `model`. Raises redis.RedisError."""
    store.get_redis().eval(_ANNOUNCE, 1, key_name(KEY), f"{worker} {model}", str(ALIVE_SECONDS))


def keep_announcing(model: str) -> None:
    """For as long as this process lives. To be called after a fork: it starts a thread."""
    threading.Thread(target=_announce_for_ever, args=[uuid.uuid4().hex, model], name="presence", daemon=True).start()


def find_models() -> list[str]:
    """The model of each worker that lives; none while Redis is away."""
    client = get_redis()
    if client is None:
        return []
    try:
        found = cast("list[bytes]", cast("Any", client.eval(_FIND, 1, key_name(KEY))))
    except redis.RedisError:
        return []
    return sorted(member.decode().partition(" ")[2] for member in found)


def _announce_for_ever(worker: str, model: str) -> None:
    pause = threading.Event()
    while True:
        with suppress(redis.RedisError):  # it is told again soon
            announce(worker, model)
        pause.wait(ALIVE_SECONDS / 3)
