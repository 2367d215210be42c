"""Tracks the live workers of the queue `inference`, the model of each and how many images it works on at once.

Three sorted sets in Redis, scored by expiry time: with separate ones the previous release can still read the first two.
"""

import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import redis

from imaging.executor import store
from lib.ops.redis_client import get_redis, key_name

KEY = "imaging:workers"
PLACES_KEY = "imaging:places"
NAMES_KEY = "imaging:models"
# A worker sends heartbeats three times as often.
ALIVE_SECONDS = 15

# Uses Redis's clock: the machines' clocks differ. KEYS sets; ARGV seconds, and what to put into each set.
_ANNOUNCE = """
local now = tonumber(redis.call('TIME')[1])
for number, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZADD', key, now + ARGV[1], ARGV[1 + number])
  redis.call('EXPIRE', key, ARGV[1])
end
"""
# KEYS set.
_FIND = "return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. redis.call('TIME')[1], '+inf')"


def send_heartbeat(worker: str, model: str, places: int = 1, names: Sequence[str] = ()) -> None:
    """Report that the worker is alive with `model`, for `places` images at once, and has the models `names`.

    Raises redis.RedisError.
    """
    keys = [key_name(key) for key in (KEY, PLACES_KEY, NAMES_KEY)]
    lines = (f"{worker} {model}", f"{worker} {places}", f"{worker} {','.join(names)}")
    store.get_redis().eval(_ANNOUNCE, len(keys), *keys, str(ALIVE_SECONDS), *lines)


def keep_announcing(model: str, places: int, names: Sequence[str]) -> None:
    """Send heartbeats for as long as this process lives. Call it after any fork: it starts a thread."""
    arguments = [uuid.uuid4().hex, model, places, names]
    threading.Thread(target=_send_heartbeats, args=arguments, name="presence", daemon=True).start()


def find_models() -> list[str]:
    """The model of each live worker; empty while Redis is down."""
    try:
        return sorted(_find(KEY).values())
    except redis.RedisError:
        return []


def find_names() -> set[str]:
    """The names of the models that live workers have; empty while Redis is down."""
    try:
        return {name for names in _find(NAMES_KEY).values() for name in names.split(",")}
    except redis.RedisError:
        return set()


def count_places() -> int:
    """Images that all live workers process at once; 0 while a worker of the previous release is alive. Raises RedisError."""
    workers, places = _find(KEY), _find(PLACES_KEY)
    return sum(int(places[worker]) for worker in workers) if workers.keys() <= places.keys() else 0


def _find(key: str) -> dict[str, str]:
    """The entry of each live worker in a set. Raises redis.RedisError."""
    client = get_redis()
    if client is None:
        return {}
    found = cast("list[bytes]", cast("Any", client.eval(_FIND, 1, key_name(key))))
    parts = (member.decode().partition(" ") for member in found)
    return {worker: rest for worker, _, rest in parts}


def _send_heartbeats(worker: str, model: str, places: int, names: Sequence[str]) -> None:
    pause = threading.Event()
    while True:
        with suppress(redis.RedisError):  # the next heartbeat follows soon
            send_heartbeat(worker, model, places, names)
        pause.wait(ALIVE_SECONDS / 3)
