"""A short memory of key look-ups, shared by all processes. Used only where the cache is Redis.

It holds what a look-up found (numbers, digest, times), never a key's text. A key that changes is dropped, and the drop
must win against a reader that has read the old row and is about to remember it. So a drop leaves a tombstone behind, and
readers remember with `add`, which does nothing where something is: until the tombstone lapses the database is asked.
When Redis cannot be reached everybody asks the database; a drop that is lost then leaves an old entry for LIFETIME.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import QuerySet

LIFETIME_SECONDS = 30
# Longer than a reader can take between reading a row and remembering it.
TOMBSTONE_SECONDS = 60
_TOMBSTONE = "dropped"

Facts = dict[str, Any]


def find(lookup: str) -> Facts | None:
    """What was remembered of a key; None if nothing."""
    if not settings.REDIS_URL:
        return None
    facts = cache.get(_name(lookup))
    return facts if isinstance(facts, dict) else None


def remember(lookup: str, facts: Facts) -> None:
    """Keep facts for LIFETIME_SECONDS, unless the key was dropped a moment ago."""
    if settings.REDIS_URL:
        cache.add(_name(lookup), facts, LIFETIME_SECONDS)


def drop_on_commit(lookups: Sequence[str]) -> None:
    """Make every process ask the database for these keys as soon as the running transaction is committed."""
    if settings.REDIS_URL and lookups:
        tombstones = {_name(lookup): _TOMBSTONE for lookup in lookups}
        transaction.on_commit(partial(cache.set_many, tombstones, TOMBSTONE_SECONDS))


def drop_all_on_commit(keys: QuerySet[Any]) -> None:
    """The same for all keys of a query, which is made only where something may be remembered."""
    if settings.REDIS_URL:
        drop_on_commit(list(keys.values_list("lookup", flat=True)))


def _name(lookup: str) -> str:
    return f"api_key:{lookup}"
