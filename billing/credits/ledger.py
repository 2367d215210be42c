"""Every operation on an account's credits, one function each. Amounts are in hundredths of a credit, see `lib.amounts`.

A balance changes only by a guarded single statement (`UPDATE … WHERE enough is left`), never by read-then-write, and always
in one transaction with the ledger row that explains it. Rows are locked in the order key, window, account, so a concurrent
hold and post wait for each other and never deadlock. Every lock uses `no_key=True`: at COMMIT PostgreSQL checks a new hold's
foreign keys with FOR KEY SHARE, outside that order, and a plain FOR UPDATE would block it.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts import standing
from accounts.models import ApiKey, User
from accounts.standing import AccessEnded
from billing.credits import after_post as usage
from billing.credits import due, key_usage
from billing.credits.prices import CREDIT
from billing.credits.refusals import (
    BalanceTooLow,
    HoldExpired,
    KeyLimitReached,
    MonthlyLimitReached,
    NotEnoughCredits,
    ReasonRequired,
)
from billing.credits.windows import get_window, month_bounds, month_of, open_window
from billing.models import Account, Bucket, Hold, LedgerEntry, MonthlyUsage, PackPurchase, Plan, UsageWindow
from lib.amounts import plus_parameters
from lib.sql import execute

FREE_PLAN = "Free"

# The statements of every paid request, written by hand: see lib.sql.
_LEFT_IN_WINDOW = (
    f"{CREDIT} * CAST(allowance - app_used - api_used - held AS bigint) - app_used_part - api_used_part - held_part"
)
_TAKE_INCLUDED = f"UPDATE billing_usagewindow SET {UsageWindow.on_hold.plus_sql} WHERE id = %s AND {_LEFT_IN_WINDOW} >= %s"
_TAKE_PREPAID = f"UPDATE billing_account SET {Account.prepaid.plus_sql} WHERE id = %s AND {Account.prepaid.sql} >= %s"
_TAKE_FREE = (
    "UPDATE billing_monthlyusage SET free_previews = free_previews + 1"
    " WHERE account_id = %s AND month = %s AND free_previews < %s"
)
_SETTLE = "UPDATE billing_hold SET state = %s, settled_at = %s, knows_price = %s WHERE id = %s AND state = 'held'"
_USE_IN_WINDOW = {
    channel: f"UPDATE billing_usagewindow SET {used.plus_sql}, {UsageWindow.on_hold.plus_sql} WHERE id = %s"
    for channel, used in (("api", UsageWindow.used_by_api), ("app", UsageWindow.used_by_app))
}
_USE_IN_MONTH = {
    channel: f"UPDATE billing_monthlyusage SET {used.plus_sql} WHERE account_id = %s AND month = %s"
    for channel, used in (("api", MonthlyUsage.used_by_api), ("app", MonthlyUsage.used_by_app))
}
# A running request renews its hold (see `billing.credits.running_holds`). A hold not renewed for this long has lost its
# process, and nothing will settle it.
STALE_HOLD = timedelta(minutes=15)
HOLD_AGAIN_SECONDS = 5


def get_account(user: User) -> Account:
    """The account of `user`, with plan and cycle. Created on the free plan on first use."""
    accounts = Account.objects.select_related("plan", "cycle")
    try:
        account = accounts.get(user_id=user.pk)
    except Account.DoesNotExist:
        Account.objects.get_or_create(user=user, defaults={"plan": Plan.objects.get(label=FREE_PLAN)})
        account = accounts.get(user_id=user.pk)
    account.user = user
    return account


@transaction.atomic
def hold(
    account: Account, *, channel: str, key: ApiKey | None, request_id: str, price: int = CREDIT, may_be_free: bool = False
) -> Hold:
    """Hold a price: from the included credits if they suffice, else from the prepaid ones, else from both.

    With `may_be_free`, one of the month's free previews is taken instead, if any is left: the hold's price is then 0.
    Raises KeyLimitReached when the key's monthly cap leaves less than the price, MonthlyLimitReached when the credits do,
    AccessEnded if the account or the key has become invalid since the request was authenticated. Then nothing is held.
    """
    now = timezone.now()
    month = month_of(now)
    window = get_window(account, now)
    is_free = may_be_free and _take_free(account, key, month)
    price = 0 if is_free else price
    if not is_free:
        _take_of_key(account, key, month, price)
    bucket, topped_up = (Bucket.INCLUDED, 0) if is_free else _take(account, window, price)
    if bucket is None:
        raise MonthlyLimitReached(window.seconds_left(now))
    made = Hold.objects.create(
        account=account, key=key, channel=channel, request_id=request_id, bucket=bucket, window=window, month=month,
        price=price, topped_up=topped_up, is_free=is_free,
    )  # fmt: skip
    _record(made, LedgerEntry.Kind.HOLD)
    return made


@transaction.atomic
def hold_many(
    account: Account, request_ids: Sequence[str], *, channel: str, key: ApiKey | None, until: datetime, price: int = CREDIT
) -> list[Hold]:
    """Hold a price for each of `request_ids`, in their order: from included credits first, then from prepaid ones.

    Where a rest of each remains, the last one takes from both. All or none. They stay on hold until they are settled, at
    most until `until`, when the sweeper voids them. Raises KeyLimitReached when the key's cap leaves less, NotEnoughCredits
    when the account does, and AccessEnded if the account or the key has become invalid.
    """
    now = timezone.now()
    month, count = month_of(now), len(request_ids)
    window = get_window(account, now)
    _take_of_key(account, key, month, price * count)
    parts = _take_many(account, window, price, count)
    if parts is None:
        left = max(0, UsageWindow.objects.get(pk=window.pk).left) + _locked_balance(account)
        raise NotEnoughCredits(price * count, left, window.seconds_left(now))
    made = Hold.objects.bulk_create(
        Hold(
            account=account, key=key, channel=channel, request_id=request_id, bucket=bucket, window=window, month=month,
            held_until=until, price=price, topped_up=topped_up,
        )
        for request_id, (bucket, topped_up) in zip(request_ids, parts, strict=True)
    )  # fmt: skip
    LedgerEntry.objects.bulk_create(entry for each in made for entry in _entries(each, LedgerEntry.Kind.HOLD))
    return made


def check_credits(account: Account, amount: int) -> None:
    """Raise NotEnoughCredits if `hold_many` would raise it now. Holds nothing: another request may still be faster."""
    now = timezone.now()
    window = get_window(account, now)
    left = max(0, window.left) + account.prepaid
    if left < amount:
        raise NotEnoughCredits(amount, left, window.seconds_left(now))


@transaction.atomic
def post(held: Hold) -> bool:
    """Spend the held price: the image exists. False if the hold was already settled: see `hold_again`."""
    if not _settle(held, Hold.State.POSTED):
        return False
    if held.key_id is not None:
        key_usage.post(held.key_id, held.month, held.price)
    if held.bucket == Bucket.INCLUDED and not held.is_free:
        _use_included(held)
    usage.schedule(held)
    _record(held, LedgerEntry.Kind.POST)
    return True


@transaction.atomic
def void(held: Hold) -> bool:
    """Free the held price: there will be no image. False if the hold was already settled."""
    if not _settle(held, Hold.State.VOIDED):
        return False
    _free([held])
    return True


@transaction.atomic
def void_many(hold_ids: Sequence[uuid.UUID]) -> list[Hold]:
    """Free those of the prices that are still on hold: there will be no images. Returns the holds that it voided."""
    # In id order, so that two concurrent calls wait for each other and never deadlock.
    locked = Hold.objects.select_for_update(no_key=True).filter(pk__in=hold_ids, state=Hold.State.HELD).order_by("pk")
    found = list(locked)
    settled = {"state": Hold.State.VOIDED, "settled_at": timezone.now(), "knows_price": True}
    Hold.objects.filter(pk__in=[held.pk for held in found]).update(**settled)
    _free(found)
    return found


def void_stale(older_than: timedelta = STALE_HOLD) -> int:
    """Void the holds that a killed process left behind. Returns how many."""
    found = list(Hold.objects.filter(stale(older_than)).values_list("pk", flat=True))
    return sum(void_if_stale(pk, older_than) for pk in found)


@transaction.atomic
def void_if_stale(hold_id: uuid.UUID, older_than: timedelta = STALE_HOLD) -> bool:
    """Void one hold that nothing will settle. False if it was already settled, or a running request renews it."""
    # Lock it before checking: it may have been renewed since the caller found it.
    left = Hold.objects.select_for_update(no_key=True).filter(stale(older_than), pk=hold_id).first()
    return left is not None and void(left)


def keep_held(hold_ids: Sequence[uuid.UUID]) -> int:
    """Renew the holds of running requests: the sweep ignores them for STALE_HOLD from now. Returns how many."""
    renewed = Hold.objects.filter(pk__in=hold_ids, state=Hold.State.HELD)
    return renewed.update(held_until=timezone.now() + STALE_HOLD)


@transaction.atomic
def hold_again(lost: Hold) -> Hold:
    """Hold and spend the same price again for a request whose hold was voided while it was running. Returns the new hold.

    The new hold counts in the current window and month, and against the same key's cap. A hold that was already spent is
    returned unchanged. Raises HoldExpired when too few credits are left; nothing is held then.
    """
    if Hold.objects.filter(pk=lost.pk, state=Hold.State.POSTED).exists():
        return lost
    account = get_account(lost.account.user)
    try:
        made = hold(
            account, channel=lost.channel, key=lost.key, request_id=lost.request_id, price=lost.price,
            may_be_free=lost.is_free,
        )  # fmt: skip
    except (KeyLimitReached, MonthlyLimitReached, AccessEnded) as error:
        raise HoldExpired from error
    post(made)
    return made


def stale(older_than: timedelta = STALE_HOLD) -> Q:
    """Matches holds that nothing will settle: never renewed and older than `older_than`, or past `held_until`."""
    now = timezone.now()
    overdue = Q(held_until=None, created_at__lt=now - older_than) | Q(held_until__lt=now)
    return Q(state=Hold.State.HELD) & overdue


@transaction.atomic
def grant_prepaid(account: Account, credits: int, *, reference: str, note: str = "") -> bool:
    """Add whole prepaid credits, once per `reference`. False if it was used before. Raises ValueError below 1."""
    if credits < 1:
        raise ValueError(f"a grant must be of at least 1 credit, got {credits}")
    return _change_prepaid(account, CREDIT * credits, LedgerEntry.Kind.GRANT, reference=reference, note=note)


@transaction.atomic
def refund_prepaid(
    account: Account, credits: int, *, reference: str, note: str = "", purchase: PackPurchase | None = None
) -> int:
    """Take back up to `credits` whole prepaid credits, once per `reference`. What was already spent stays spent.

    Credits that are on hold now are taken when their hold is voided, and then counted as `reclaimed` of the purchase: see
    `billing.credits.due`. Returns what was taken immediately, in hundredths; 0 for a reference that was used before.
    """
    if is_used(reference):
        return 0
    wanted = CREDIT * credits
    taken = min(wanted, _locked_balance(account))
    if not _change_prepaid(account, -taken, LedgerEntry.Kind.REFUND, reference=reference, note=note):
        return 0
    due.remember(account, wanted - taken, reference=reference, purchase=purchase)
    return taken


def is_used(reference: str) -> bool:
    """Whether credits have already moved under this reference."""
    return LedgerEntry.objects.filter(reference=reference).exists()


@transaction.atomic
def adjust(account: Account, amount: int, *, staff: User, reason: str, token: uuid.UUID | None = None) -> bool:
    """Give or, below zero, take an amount of prepaid credits for support. Raises ReasonRequired, or BalanceTooLow.

    A `token` moves credits only once: False if it was used before.
    """
    if not reason.strip():
        raise ReasonRequired
    if amount < 0 and _locked_balance(account) < -amount:
        raise BalanceTooLow
    note = f"{reason.strip()} ({staff.email})"[:255]
    reference = f"adjust:{token or uuid.uuid4()}"
    return _change_prepaid(account, amount, LedgerEntry.Kind.ADJUST, reference=reference, note=note)


def _locked_balance(account: Account) -> int:
    """The prepaid balance in hundredths, locked until the transaction ends."""
    return Account.objects.select_for_update(no_key=True).get(pk=account.pk).prepaid


@transaction.atomic
def renew(account: Account, plan: Plan, start: datetime, end: datetime, extra: int = 0) -> UsageWindow:
    """Apply Stripe's new billing cycle: its window limits the account from now on. Repeating it changes nothing.

    `extra` is the number of included credits beyond the plan's in this cycle, such as a trial's.
    """
    window = open_window(account, UsageWindow.Kind.CYCLE, start, end, plan.included_credits + extra)
    account.plan, account.cycle, account.calendar_from = plan, window, None
    account.save(update_fields=["plan", "cycle", "calendar_from"])
    usage.schedule_period(account)
    return window


@transaction.atomic
def upgrade(account: Account, plan: Plan, window: UsageWindow) -> None:
    """Apply a larger plan paid for within a cycle: raise the cycle's allowance to the plan's. A repeat changes nothing."""
    _grant_included(window, plan.included_credits, only_up=True, note=f"upgraded to {plan.label}")
    account.plan = plan
    account.save(update_fields=["plan"])


@transaction.atomic
def end_subscription(account: Account, at: datetime) -> None:
    """Return the account to the free plan and the calendar month, counting from zero at `at`."""
    account.plan, account.cycle, account.calendar_from = Plan.objects.get(label=FREE_PLAN), None, at
    account.save(update_fields=["plan", "cycle", "calendar_from"])
    usage.schedule_period(account)


@transaction.atomic
def change_plan(account: Account, plan: Plan) -> None:
    """Switch the account to another plan immediately, and set the current window's allowance to it."""
    account.plan = plan
    window = get_window(account, timezone.now())
    _grant_included(window, plan.included_credits, only_up=False, note=f"plan changed to {plan.label}")
    account.save(update_fields=["plan"])


def _take_of_key(account: Account, key: ApiKey | None, month: date, amount: int) -> None:
    """Count an amount against the key's cap, and check that account and key may still be used. Raises KeyLimitReached."""
    if key is None:
        standing.check(account.user_id, None)
    elif not key_usage.take(key, month, amount):
        raise KeyLimitReached(int((month_bounds(month)[1] - timezone.now()).total_seconds()) + 1)


def _take_free(account: Account, key: ApiKey | None, month: date) -> bool:
    """Take one of the month's free previews. False if none is left. They count against no cap of a key."""
    most = account.plan.free_previews
    if not most:
        return False
    standing.check(account.user_id, key)
    taking = (_TAKE_FREE, account.pk, month.isoformat(), most)
    if execute(*taking):
        return True
    # None is left, or this is the month's first. In a race, one request creates the row.
    MonthlyUsage.objects.get_or_create(account_id=account.pk, month=month)
    return bool(execute(*taking))


def _take(account: Account, window: UsageWindow, price: int) -> tuple[Bucket | None, int]:
    """Hold a price. Returns the bucket, and what of it came from prepaid credits because the included ones were too few.

    The window is locked before the account's statement, which may keep the account's row even if it changes nothing. A
    window without a rest, as last read, is left alone: then only the prepaid credits can pay.
    """
    if execute(_TAKE_INCLUDED, *plus_parameters(price), window.pk, price):
        return Bucket.INCLUDED, 0
    rest = min(price, max(0, _locked_window(window).left)) if window.left > 0 else 0
    if rest < price and _take_prepaid(account, price):
        return Bucket.PREPAID, 0
    if rest and (rest == price or _take_prepaid(account, price - rest)):
        UsageWindow.objects.filter(pk=window.pk).update(**UsageWindow.on_hold.plus(rest))
        return Bucket.INCLUDED, price - rest
    return None, 0


def _take_many(account: Account, window: UsageWindow, price: int, count: int) -> list[tuple[Bucket, int]] | None:
    """The same for `count` prices; None if there is too little. The window is locked until the transaction ends."""
    if not price:
        return [(Bucket.INCLUDED, 0)] * count
    left, balance = max(0, _locked_window(window).left), _locked_balance(account)
    included = min(count, left // price)
    prepaid = min(count - included, balance // price)
    parts = [(Bucket.INCLUDED, 0)] * included + [(Bucket.PREPAID, 0)] * prepaid
    if len(parts) < count:
        # Each bucket has less than a price now, so together they suffice for one more at most.
        parts.append((Bucket.INCLUDED, price - (left - included * price)))
    from_included = sum(price - topped_up for bucket, topped_up in parts if bucket == Bucket.INCLUDED)
    if len(parts) < count or price * count - from_included > balance:
        return None
    UsageWindow.objects.filter(pk=window.pk).update(**UsageWindow.on_hold.plus(from_included))
    Account.objects.filter(pk=account.pk).update(**Account.prepaid.plus(from_included - price * count))
    return parts


def _take_prepaid(account: Account, amount: int) -> bool:
    return bool(execute(_TAKE_PREPAID, *plus_parameters(-amount), account.pk, amount))


def _locked_window(window: UsageWindow) -> UsageWindow:
    """The window as it is now, locked until the transaction ends."""
    return UsageWindow.objects.select_for_update(no_key=True).get(pk=window.pk)


def _use_included(held: Hold) -> None:
    """Move what a hold took of the allowance from on hold to used, in its window and its month."""
    used, freed = plus_parameters(held.from_included), plus_parameters(-held.from_included)
    execute(_USE_IN_WINDOW[held.channel], *used, *freed, held.window_id)
    in_month = (_USE_IN_MONTH[held.channel], *used, held.account_id, held.month.isoformat())
    if not execute(*in_month):
        MonthlyUsage.objects.get_or_create(account_id=held.account_id, month=held.month)
        execute(*in_month)


def _free(voided: Sequence[Hold]) -> None:
    """Return what holds took, which were just marked as voided, and let prepaid ones pay for refunds."""
    of_key, of_month, included, prepaid = Counter[Any](), Counter[Any](), Counter[Any](), Counter[Any]()
    for held in voided:
        of_key[held.key_id, held.month] += held.price
        of_month[held.account_id, held.month] += held.is_free
        included[held.window_id] += held.from_included
        prepaid[held.account_id] += held.from_prepaid
    for (key_id, month), amount in sorted(item for item in (+of_key).items() if item[0][0] is not None):
        key_usage.give_back(key_id, month, amount)
    for window_id, amount in sorted((+included).items()):
        UsageWindow.objects.filter(pk=window_id).update(**UsageWindow.on_hold.plus(-amount))
    for account_id, amount in sorted((+prepaid).items()):
        Account.objects.filter(pk=account_id).update(**Account.prepaid.plus(amount))
    for (account_id, month), count in sorted((+of_month).items()):
        of_the_month = MonthlyUsage.objects.filter(account_id=account_id, month=month)
        of_the_month.update(free_previews=F("free_previews") - count)
    LedgerEntry.objects.bulk_create(entry for held in voided for entry in _entries(held, LedgerEntry.Kind.VOID))
    for account_id in sorted(+prepaid):
        _collect_due(account_id, [held for held in voided if held.account_id == account_id and held.from_prepaid])


def _change_prepaid(account: Account, amount: int, kind: LedgerEntry.Kind, *, reference: str, note: str) -> bool:
    """Change the prepaid balance by an amount that the caller has checked, once per reference."""
    row = {"account": account, "kind": kind, "bucket": Bucket.PREPAID, "note": note}
    columns = LedgerEntry.of_available.columns(amount)
    _, created = LedgerEntry.objects.get_or_create(reference=reference, defaults=row | columns)
    if created:
        Account.objects.filter(pk=account.pk).update(**Account.prepaid.plus(amount))
    return created


def _collect_due(account_id: int, voided: Sequence[Hold]) -> None:
    """In the transaction that voids these prepaid holds, take what refunds could not take while they were open."""
    for payment in due.collect(account_id, [held.pk for held in voided]):
        _change_prepaid(
            voided[0].account, -payment.amount, LedgerEntry.Kind.REFUND, reference=payment.reference, note=payment.note
        )


def _grant_included(window: UsageWindow, allowance: int, *, only_up: bool, note: str) -> None:
    """Set a window's allowance to `allowance` whole credits, under a lock: two concurrent changes must not add up."""
    locked = _locked_window(window)
    change = allowance - locked.allowance
    if change == 0 or (only_up and change < 0):
        return
    UsageWindow.objects.filter(pk=window.pk).update(allowance=allowance)
    LedgerEntry.objects.create(
        account_id=locked.account_id, kind=LedgerEntry.Kind.GRANT, bucket=Bucket.INCLUDED, available=change, window=locked,
        reference=f"plan:{window.pk}:{uuid.uuid4()}", note=note,
    )  # fmt: skip


def _settle(held: Hold, state: Hold.State) -> bool:
    """Settle an open hold as `state`. If two callers try, one wins."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    pk = Hold._meta.pk.get_db_prep_value(held.pk, connection)
    return bool(execute(_SETTLE, state.value, now, True, pk))


def _record(of: Hold, kind: LedgerEntry.Kind) -> None:
    for entry in _entries(of, kind):
        entry.save(force_insert=True)


# The signs by which a movement of a hold changes what is available and what is on hold; its references begin with the word.
_MOVES = {
    LedgerEntry.Kind.HOLD: (-1, 1, "hold"),
    LedgerEntry.Kind.POST: (0, -1, "settle"),
    LedgerEntry.Kind.VOID: (1, -1, "settle"),
}


def _entries(of: Hold, kind: LedgerEntry.Kind) -> Iterator[LedgerEntry]:
    """The rows of a movement: one, or one for each bucket of a hold that takes from both."""
    available, held, word = _MOVES[kind]
    amounts = {Bucket.INCLUDED: of.from_included, Bucket.PREPAID: of.from_prepaid}
    for bucket, amount in amounts.items():
        if amount or bucket == of.bucket:
            yield LedgerEntry(
                account_id=of.account_id,
                kind=kind,
                bucket=bucket,
                **LedgerEntry.of_available.columns(available * amount),
                **LedgerEntry.of_held.columns(held * amount),
                reference=f"{word}:{of.pk}" if bucket == of.bucket else f"{word}:{of.pk}:{bucket}",
                window_id=of.window_id if bucket == Bucket.INCLUDED else None,
                hold=of,
            )
