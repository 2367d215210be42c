"""Runs after a change of usage commits: writes the copies in Redis and sends the low-balance mail.

The copies are documented for customers and operators. This code never reads them: the database is the record. They are raw
keys, without the cache framework's prefix or REDIS_PREFIX, so that `redis-cli get` finds them. Public ids are random, so two
deployments never share a key.
"""

import logging
from collections.abc import Mapping

import redis
from django.conf import settings
from django.db import transaction

from billing.credits import low_balance
from billing.credits.prices import as_number
from billing.models import Account, Hold, MonthlyUsage, UsageWindow
from lib.ops.redis_client import get_redis

logger = logging.getLogger(__name__)

# Accounts whose copies could not be written, at most MAX_LOST per process: see `write_lost`. A killed process forgets them;
# their copies are then written with the next credit.
_lost: dict[int, None] = {}
MAX_LOST = 10_000
# Longer than anyone asks for a window's usage. Keys of past windows must not pile up forever.
KEEP_SECONDS = 400 * 24 * 3600

# Two requests may be copied in the opposite order of their commits. Used credits only grow, so the larger figure is the
# later one; likewise the billing period with the later start. The period is written each time, because Redis may have been
# flushed or down when it began. KEYS[1] and [2] are its bounds; their values are empty when there is no period.
_COPY = """
if ARGV[2] == '' then redis.call('DEL', KEYS[1], KEYS[2])
elseif tonumber(ARGV[2]) >= tonumber(redis.call('GET', KEYS[1]) or '-1') then
    redis.call('MSET', KEYS[1], ARGV[2], KEYS[2], ARGV[3])
end
for i = 3, #KEYS do
    local known = tonumber(redis.call('GET', KEYS[i]) or '-1')
    if tonumber(ARGV[i + 1]) > known then redis.call('SET', KEYS[i], ARGV[i + 1]) end
    redis.call('EXPIRE', KEYS[i], ARGV[1])
end
"""


# The window, the current cycle and the month's counts in one query: see lib.sql.
_AFTER_POST = """
SELECT usage_window.*, account.cycle_id AS cycle_now,
       month.app_used AS month_app_used, month.api_used AS month_api_used,
       month.app_used_part AS month_app_used_part, month.api_used_part AS month_api_used_part
FROM billing_usagewindow AS usage_window
JOIN billing_account AS account ON account.id = usage_window.account_id
LEFT JOIN billing_monthlyusage AS month ON month.account_id = account.id AND month.month = %s
WHERE usage_window.id = %s
"""


def schedule(held: Hold) -> None:
    """After the post commits, write the copies and, at a threshold, mail the customer.

    Failures are only logged: by then the credit is spent, and the customer must get the image.
    """
    transaction.on_commit(lambda: _after_post(held), robust=True)


def schedule_period(account: Account) -> None:
    """After a change of the billing period commits, copy its bounds."""
    transaction.on_commit(lambda: write_period(account), robust=True)


def window_keys(uid: str, window: UsageWindow) -> dict[str, int | float]:
    """The documented keys of a window, with their values in credits."""
    return _usage_keys(uid, window, f"cycle:{int(window.start.timestamp())}")


def month_keys(uid: str, usage: MonthlyUsage) -> dict[str, int | float]:
    """The documented keys of a calendar month, with their values in credits."""
    return _usage_keys(uid, usage, f"{usage.month.year}:{usage.month.month}")


def _usage_keys(uid: str, counted: UsageWindow | MonthlyUsage, period: str) -> dict[str, int | float]:
    return {
        f"user:{uid}:app_usage:{period}": as_number(counted.used_by_app),
        f"user:{uid}:api_usage:{period}": as_number(counted.used_by_api),
    }


def period_keys(uid: str, cycle: UsageWindow | None) -> dict[str, int | None]:
    """The documented keys of the current billing cycle's bounds, end inclusive; the values are None without a cycle."""
    return {
        f"user:{uid}:billing_period_start": int(cycle.start.timestamp()) if cycle else None,
        f"user:{uid}:billing_period_end": int(cycle.end.timestamp()) - 1 if cycle else None,
    }


def write_period(account: Account) -> None:
    """Copy the bounds of the current billing cycle, or remove them if there is none."""
    client = get_redis()
    if client is None:
        return
    keys = period_keys(account.user.public_id, account.cycle)
    bounds = {name: bound for name, bound in keys.items() if bound is not None}
    try:
        if bounds:
            client.mset(bounds)
        else:
            client.delete(*keys)
    except redis.RedisError:
        _note_lost_copy(account.pk)


def write_all(account: Account) -> None:
    """Overwrite every copy of an account, whatever its current value. `reconcile --fix` uses this."""
    values = _all_used(account)
    client = get_redis()
    if client is not None and values:
        try:
            client.mset(values)
        except redis.RedisError:
            _note_lost_copy(account.pk)
    write_period(account)


def write_lost() -> int:
    """Write the copies that failed while Redis was down or full. Returns the number of accounts."""
    written = 0
    while _lost:
        pk = next(iter(_lost))
        account = Account.objects.select_related("user", "cycle").filter(pk=pk).first()
        # Uses the script, which never lowers a figure: other processes may be writing too.
        if account and not _copy(pk, period_keys(account.user.public_id, account.cycle), _all_used(account)):
            break
        _lost.pop(pk, None)
        written += 1
    return written


def _all_used(account: Account) -> dict[str, int | float]:
    """Every documented key of an account's usage, with its value."""
    uid = account.user.public_id
    values: dict[str, int | float] = {}
    for window in account.windows.all():
        values |= window_keys(uid, window)
    for month in account.months.all():
        values |= month_keys(uid, month)
    return values


def _after_post(held: Hold) -> None:
    # Read again, with the current cycle: other requests and renewals may have committed in between.
    window = UsageWindow.objects.raw(_AFTER_POST, [held.month.isoformat(), held.window_id])[0]
    # Only the account's user and mail preference are needed, so the loaded account is good enough.
    window.account = held.account
    low_balance.check(window)
    if settings.REDIS_URL:
        read = vars(window)
        cycle = None if read["cycle_now"] is None else _cycle(window, read["cycle_now"])
        counts = {name: read[f"month_{name}"] or 0 for name in ("app_used", "app_used_part", "api_used", "api_used_part")}
        month = MonthlyUsage(account_id=held.account_id, month=held.month, **counts)
        uid = held.account.user.public_id
        _copy(held.account_id, period_keys(uid, cycle), window_keys(uid, window) | month_keys(uid, month))


def _cycle(window: UsageWindow, pk: int) -> UsageWindow:
    """The window with this key. Usually it is `window`, which saves the query."""
    return window if window.pk == pk else UsageWindow.objects.get(pk=pk)


def _copy(account_id: int, period: Mapping[str, int | None], used: Mapping[str, int | float]) -> bool:
    """Write the copies. Returns False, and notes the account for later, if Redis fails."""
    client = get_redis()
    if client is None:
        return True
    values = ["" if value is None else value for value in (*period.values(), *used.values())]
    try:
        client.register_script(_COPY)(keys=[*period, *used], args=[KEEP_SECONDS, *values])
    except redis.RedisError:
        _note_lost_copy(account_id)
        return False
    return True


def _note_lost_copy(account_id: int) -> None:
    logger.warning("usage copy not written: Redis is unreachable")
    if len(_lost) < MAX_LOST:
        _lost[account_id] = None
