"""A short memory of key look-ups, shared by all processes. Used only where there is a Redis.

It holds what a look-up found (numbers, digest, times), never a key's text. A key that changes is dropped, and the drop
must win against a reader that has read the old row and is about to remember it. So a drop leaves a tombstone behind, and
readers remember with `add`, which does nothing where something is: until the tombstone lapses the database is asked.
When Redis cannot be reached everybody asks the database; a drop that is lost then leaves an old entry for LIFETIME.
Django's cache would not do: it goes on in each process's own memory, where no other process could drop anything.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import redis
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from lib.ops.redis_client import get_redis, key_name

LIFETIME_SECONDS = 30
# Longer than a reader can take between reading a row and remembering it.
TOMBSTONE_SECONDS = 60
_TOMBSTONE = "dropped"

Facts = dict[str, Any]


def find(lookup: str) -> Facts | None:
    """What was remembered of a key; None if nothing."""
    client = get_redis()
    if client is None:
        return None
    try:
        facts = json.loads(client.get(_name(lookup)) or "null")  # type: ignore[arg-type]  # the client is not asynchronous
    except (redis.RedisError, ValueError):
        return None
    return _with_times(facts) if isinstance(facts, dict) else None


def remember(lookup: str, facts: Facts) -> None:
    """Keep facts (numbers, texts, times in UTC) for LIFETIME_SECONDS, unless the key was dropped a moment ago."""
    client = get_redis()
    if client is None:
        return
    try:
        client.set(_name(lookup), json.dumps(facts, default=datetime.isoformat), nx=True, ex=LIFETIME_SECONDS)
    except redis.RedisError:
        return


def drop_on_commit(lookups: Sequence[str]) -> None:
    """Make every process ask the database for these keys as soon as the running transaction is committed."""
    if settings.REDIS_URL and lookups:
        transaction.on_commit(partial(_drop, [_name(lookup) for lookup in lookups]))


def drop_all_on_commit(keys: QuerySet[Any]) -> None:
    """The same for all keys of a query, which is made only where something may be remembered."""
    if settings.REDIS_URL:
        drop_on_commit(list(keys.values_list("lookup", flat=True)))


def _drop(names: Sequence[str]) -> None:
    client = get_redis()
    if client is None:
        return
    try:
        with client.pipeline(transaction=False) as pipe:
            # First without the tombstones: a Redis that is full takes nothing new, and still deletes.
            pipe.delete(*names)
            for name in names:
                pipe.set(name, json.dumps(_TOMBSTONE), ex=TOMBSTONE_SECONDS)
            pipe.execute()
    except redis.RedisError:
        return


def _with_times(facts: Facts) -> Facts:
    """The facts with their times, which JSON knows as text only. A name that ends in `_at` is a time's."""
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value is not None else value
        for name, value in facts.items()
    }


def _name(lookup: str) -> str:
    return key_name(f"api_key:{lookup}")
