"""What follows a change of usage, after commit: the copies in Redis and the low-balance mail.

The copies are documented to customers and operators, and never read by us: the database is the record. They are raw keys,
without the cache framework's prefix, so that `redis-cli get` finds them.
"""

import logging
from collections.abc import Mapping

import redis
from django.conf import settings
from django.db import transaction

from billing import low_balance
from billing.models import Account, Hold, MonthlyUsage, UsageWindow
from config.redis_client import get_redis

logger = logging.getLogger(__name__)

# Longer than anyone asks for a window's usage, so that keys of past windows do not pile up for ever.
KEEP_SECONDS = 400 * 24 * 3600

# Commits of two requests may be copied in the other order; used credits only grow, so the larger figure is the later one.
_RAISE = """
for i, key in ipairs(KEYS) do
    local known = tonumber(redis.call('GET', key) or '-1')
    if tonumber(ARGV[i + 1]) > known then redis.call('SET', key, ARGV[i + 1]) end
    redis.call('EXPIRE', key, ARGV[1])
end
"""


def announce(held: Hold) -> None:
    """A credit was posted: once that is committed, write the copies and, at a threshold, mail the customer."""
    transaction.on_commit(lambda: _after_post(held))


def announce_period(account: Account) -> None:
    """The billing period changed: once that is committed, copy its bounds."""
    transaction.on_commit(lambda: write_period(account))


def window_keys(uid: str, window: UsageWindow) -> dict[str, int]:
    """The documented keys of a window and their values."""
    start = int(window.start.timestamp())
    return {f"user:{uid}:app_usage:cycle:{start}": window.app_used, f"user:{uid}:api_usage:cycle:{start}": window.api_used}


def month_keys(uid: str, usage: MonthlyUsage) -> dict[str, int]:
    """The documented keys of a calendar month and their values."""
    month = f"{usage.month.year}:{usage.month.month}"
    return {f"user:{uid}:app_usage:{month}": usage.app_used, f"user:{uid}:api_usage:{month}": usage.api_used}


def write_period(account: Account) -> None:
    """Copy the bounds of the current billing cycle (the end inclusive, in Unix seconds), or remove them without one."""
    start, end = f"user:{account.user.public_id}:billing_period_start", f"user:{account.user.public_id}:billing_period_end"
    client = get_redis()
    if client is None:
        return
    try:
        if account.cycle is None:
            client.delete(start, end)
        else:
            bounds = {start: int(account.cycle.start.timestamp()), end: int(account.cycle.end.timestamp()) - 1}
            client.mset(bounds)
    except redis.RedisError:
        _log_lost_copy()


def write_all(account: Account) -> None:
    """Write every copy of an account anew, whatever stands there: what `reconcile --fix` does."""
    uid = account.user.public_id
    values: dict[str, int] = {}
    for window in account.windows.all():
        values |= window_keys(uid, window)
    for month in account.months.all():
        values |= month_keys(uid, month)
    client = get_redis()
    if client is not None and values:
        try:
            client.mset(values)
        except redis.RedisError:
            _log_lost_copy()
    write_period(account)


def _after_post(held: Hold) -> None:
    window = UsageWindow.objects.select_related("account__user").get(pk=held.window_id)
    low_balance.check(window)
    if settings.REDIS_URL:
        month = MonthlyUsage.objects.get(account_id=held.account_id, month=held.month)
        uid = window.account.user.public_id
        _raise_copies(window_keys(uid, window) | month_keys(uid, month))


def _raise_copies(values: Mapping[str, int]) -> None:
    client = get_redis()
    if client is None:
        return
    try:
        client.register_script(_RAISE)(keys=list(values), args=[KEEP_SECONDS, *values.values()])
    except redis.RedisError:
        _log_lost_copy()


def _log_lost_copy() -> None:
    logger.warning("usage copy not written: Redis is unreachable")
