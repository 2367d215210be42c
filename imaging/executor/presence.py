"""Which workers of the queue `inference` live, which model each has and how many images it works on at once.

Two sorted sets in Redis, by the time of their end: the second one is new, so that the release before still reads the first.
"""

import threading
import uuid
from contextlib import suppress
from typing import Any, cast

import redis

from imaging.executor import store
from lib.ops.redis_client import get_redis, key_name

KEY = "imaging:workers"
PLACES_KEY = "imaging:places"
# A worker tells that it lives three times as often.
ALIVE_SECONDS = 15

# By Redis's own clock: those of the machines differ. KEYS sets; ARGV seconds, and what to put into each set.
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


def send_heartbeat(worker: str, model: str, places: int = 1) -> None:
    """The worker lives, has loaded `model`, and works on `places` images at once. Raises redis.RedisError."""
    keys, lines = (key_name(KEY), key_name(PLACES_KEY)), (f"{worker} {model}", f"{worker} {places}")
    store.get_redis().eval(_ANNOUNCE, 2, *keys, str(ALIVE_SECONDS), *lines)


def keep_announcing(model: str, places: int) -> None:
    """For as long as this process lives. To be called after a fork: it starts a thread."""
    threading.Thread(target=_send_heartbeats, args=[uuid.uuid4().hex, model, places], name="presence", daemon=True).start()


def find_models() -> list[str]:
    """The model of each worker that lives; none while Redis is away."""
    try:
        return sorted(_find(KEY).values())
    except redis.RedisError:
        return []


def count_places() -> int:
    """Images that all living workers work on at once; 0 while a worker of the release before lives. Raises RedisError."""
    workers, places = _find(KEY), _find(PLACES_KEY)
    return sum(int(places[worker]) for worker in workers) if workers.keys() <= places.keys() else 0


def _find(key: str) -> dict[str, str]:
    """What each worker that lives has put into a set. Raises redis.RedisError."""
    client = get_redis()
    if client is None:
        return {}
    found = cast("list[bytes]", cast("Any", client.eval(_FIND, 1, key_name(key))))
    parts = (member.decode().partition(" ") for member in found)
    return {worker: rest for worker, _, rest in parts}


def _send_heartbeats(worker: str, model: str, places: int) -> None:
    pause = threading.Event()
    while True:
        with suppress(redis.RedisError):  # it is told again soon
            send_heartbeat(worker, model, places)
        pause.wait(ALIVE_SECONDS / 3)
