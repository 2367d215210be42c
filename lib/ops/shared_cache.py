"""Django's cache in Redis, with this process's memory as a fallback while Redis is unreachable or full.

allauth counts log-ins, sign-ups and mails in the cache, and refuses everyone while it cannot count. So values that Redis
rejects are kept in memory, and read from there first, until Redis accepts a newer value. Limits then hold per process, and
counts in memory are carried back.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django_redis.cache import RedisCache  # type: ignore[import-untyped]

from lib.ops.redis_client import MEMORY_ENTRIES

logger = logging.getLogger(__name__)

# Seconds between log lines about an outage: not one per request.
LOG_SECONDS = 60.0
# Seconds for which a value that Redis did not remove counts as removed: longer than allauth's locks last.
GONE_SECONDS = 60.0
_GONE = "\x00removed"
_MISSING = object()
_logged_at = [-LOG_SECONDS]


class SharedCache(BaseCache):
    """Redis with a fallback. It takes the options of `django_redis.cache.RedisCache`; IGNORE_EXCEPTIONS has no effect.

    Values must be JSON. A stored value that is not JSON counts as missing: it belongs to another program.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = {**params.get("OPTIONS", {}), "IGNORE_EXCEPTIONS": False}
        # Keys are made here, once for both.
        plain = {**params, "OPTIONS": options, "KEY_PREFIX": "", "KEY_FUNCTION": _as_it_is}
        self._redis: Any = RedisCache(server, plain)
        memory = {**plain, "OPTIONS": {"MAX_ENTRIES": MEMORY_ENTRIES}}
        # By name: all of a process's threads share one.
        self._memory = LocMemCache(f"fallback of {server} {self.key_prefix}", memory)

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Set the value and return True; False if there is one already."""
        name = self._name(key, version)
        found = self._memory.get(name, _MISSING)
        if found is _MISSING:
            added = self._try(lambda: self._redis.add(name, value, timeout))
            return bool(self._memory.add(name, value, timeout) if added is _MISSING else added)
        if found == _GONE:
            self._put(name, value, timeout)
        return bool(found == _GONE)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """The value, or `default`."""
        name = self._name(key, version)
        found = self._memory.get(name, _MISSING)
        if found is _MISSING:
            found = self._try(lambda: self._redis.get(name, _MISSING))
        return default if found is _MISSING or found == _GONE else found

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Set the value."""
        self._put(self._name(key, version), value, timeout)

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give the value another timeout; False if there is none."""
        name = self._name(key, version)
        found = self._memory.get(name, _MISSING)
        if found == _GONE:
            return False
        touched = self._memory.touch(name, timeout)
        return bool(touched or self._try(lambda: self._redis.touch(name, timeout)) is True)

    def delete(self, key: str, version: int | None = None) -> bool:
        """Remove the value; False if there was none."""
        name = self._name(key, version)
        found = self._memory.get(name, _MISSING)
        deleted = self._try(lambda: self._redis.delete(name))
        if deleted is _MISSING:
            # Redis may still run a command that it did not answer in time, and leave a lock behind.
            self._memory.set(name, _GONE, GONE_SECONDS)
        else:
            self._memory.delete(name)
        return deleted is True or found not in (_MISSING, _GONE)

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a number and return the sum. Raises ValueError if there is none."""
        name = self._name(key, version)
        found = self._memory.get(name, _MISSING)
        if found not in (_MISSING, _GONE):
            return int(self._memory.incr(name, delta))
        total: Any = _MISSING if found == _GONE else self._try(lambda: self._redis.incr(name, delta))
        if total is _MISSING:
            raise ValueError(f"Key '{key}' not found")
        return int(total)

    def clear(self) -> None:
        """Remove every value of this cache. Anything else in Redis stays."""
        self._memory.clear()
        self._try(lambda: self._redis.delete_pattern(self._name("*", None), itersize=1000))

    def close(self, **kwargs: Any) -> None:
        """Django closes caches after each request; the connections are kept."""

    def _put(self, name: str, value: Any, timeout: Any) -> None:
        if self._try(lambda: self._redis.set(name, value, timeout)) is _MISSING:
            self._memory.set(name, value, timeout)
        else:
            self._memory.delete(name)

    def _name(self, key: str, version: int | None) -> str:
        return self.make_and_validate_key(key, version=version)

    def _try(self, command: Callable[[], Any]) -> Any:
        """The reply of Redis; _MISSING if it does not answer, or holds a value that is not ours."""
        try:
            return command()
        except (redis.RedisError, OSError) as error:
            _note(error)
            return _MISSING
        except ValueError:
            return _MISSING


def _note(error: Exception) -> None:
    now = time.monotonic()
    if now >= _logged_at[0] + LOG_SECONDS:
        _logged_at[0] = now
        logger.warning("the cache continues in this process's memory", extra={"reason": str(error)})


def _as_it_is(key: str, prefix: str, version: int) -> str:
    return key
