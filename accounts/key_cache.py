"""A short-lived cache of key look-ups, shared by all processes. Used only with Redis.

It holds what a look-up found (numbers, digest, times), never a key's text. A key that changes is dropped, and the drop must
win against a reader that has read the old row and is about to cache it. So a drop leaves a tombstone, and readers store with
`add`, which does not overwrite: until the tombstone expires all look-ups go to the database.
When Redis is unreachable every process queries the database; a drop lost then leaves a stale entry for LIFETIME.
Django's cache would not do: it falls back to each process's own memory, where no other process could drop anything.
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
# Longer than a reader can take between reading a row and caching it.
TOMBSTONE_SECONDS = 60
_TOMBSTONE = "dropped"

Facts = dict[str, Any]


def find(lookup: str) -> Facts | None:
    """The cached facts of a key; None if there are none."""
    client = get_redis()
    if client is None:
        return None
    try:
        facts = json.loads(client.get(_name(lookup)) or "null")  # type: ignore[arg-type]  # the client is not asynchronous
    except (redis.RedisError, ValueError):
        return None
    return _with_times(facts) if isinstance(facts, dict) else None


def remember(lookup: str, facts: Facts) -> None:
    """Cache facts (numbers, texts, times in UTC) for LIFETIME_SECONDS, unless the key was just dropped."""
    client = get_redis()
    if client is None:
        return
    try:
        client.set(_name(lookup), json.dumps(facts, default=datetime.isoformat), nx=True, ex=LIFETIME_SECONDS)
    except redis.RedisError:
        return


def drop_on_commit(lookups: Sequence[str]) -> None:
    """Make every process query the database for these keys once the current transaction is committed."""
    if settings.REDIS_URL and lookups:
        transaction.on_commit(partial(_drop, [_name(lookup) for lookup in lookups]))


def drop_all_on_commit(keys: QuerySet[Any]) -> None:
    """The same for all keys of a query, which runs only where a cache may exist."""
    if settings.REDIS_URL:
        drop_on_commit(list(keys.values_list("lookup", flat=True)))


def _drop(names: Sequence[str]) -> None:
    client = get_redis()
    if client is None:
        return
    try:
        with client.pipeline(transaction=False) as pipe:
            # Delete first, without the tombstones: a full Redis accepts nothing new, but still deletes.
            pipe.delete(*names)
            for name in names:
                pipe.set(name, json.dumps(_TOMBSTONE), ex=TOMBSTONE_SECONDS)
            pipe.execute()
    except redis.RedisError:
        return


def _with_times(facts: Facts) -> Facts:
    """The facts with times parsed, which JSON holds as text. Names of times end in `_at`."""
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value is not None else value
        for name, value in facts.items()
    }


def _name(lookup: str) -> str:
    return key_name(f"api_key:{lookup}")
