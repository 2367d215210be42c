"""Every operation on an account's credits, one function each.

A balance changes only by a guarded single statement (`UPDATE … WHERE enough is left`), never by read-then-write, and always
in one transaction with the ledger row that explains it. Rows are locked in the order key, window, account, so a concurrent
hold and post wait for each other and never deadlock. Every lock uses `no_key=True`: at COMMIT PostgreSQL checks a new hold's
foreign keys with FOR KEY SHARE, outside that order, and a plain FOR UPDATE would block it.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts import standing
from accounts.models import ApiKey, User
from accounts.standing import AccessEnded
from billing.credits import after_post as usage
from billing.credits import due, key_usage
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
from lib.sql import execute

FREE_PLAN = "Free"

# The statements of every paid request, written by hand: see lib.sql.
_TAKE_INCLUDED = "UPDATE billing_usagewindow SET held = held + 1 WHERE id = %s AND allowance > app_used + api_used + held"
_TAKE_PREPAID = "UPDATE billing_account SET prepaid_balance = prepaid_balance - 1 WHERE id = %s AND prepaid_balance >= 1"
_SETTLE = "UPDATE billing_hold SET state = %s, settled_at = %s WHERE id = %s AND state = 'held'"
_USE_IN_WINDOW = {
    "api": "UPDATE billing_usagewindow SET api_used = api_used + 1, held = held - 1 WHERE id = %s",
    "app": "UPDATE billing_usagewindow SET app_used = app_used + 1, held = held - 1 WHERE id = %s",
}
_USE_IN_MONTH = {
    "api": "UPDATE billing_monthlyusage SET api_used = api_used + 1 WHERE account_id = %s AND month = %s",
    "app": "UPDATE billing_monthlyusage SET app_used = app_used + 1 WHERE account_id = %s AND month = %s",
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
def hold(account: Account, *, channel: str, key: ApiKey | None, request_id: str) -> Hold:
    """Hold one credit: an included one if any is left, else a prepaid one.

    Raises KeyLimitReached when the key has reached its monthly cap, MonthlyLimitReached when no credit is left, AccessEnded
    if the account or the key has become invalid since the request was authenticated. Then nothing is held.
    """
    now = timezone.now()
    month = month_of(now)
    window = get_window(account, now)
    if key is None:
        standing.check(account.user_id, None)
    elif not key_usage.take(key, month):
        raise KeyLimitReached(int((month_bounds(month)[1] - now).total_seconds()) + 1)
    bucket = _take(account, window)
    if bucket is None:
        raise MonthlyLimitReached(window.seconds_left(now))
    made = Hold.objects.create(
        account=account, key=key, channel=channel, request_id=request_id, bucket=bucket, window=window, month=month
    )
    _hold_entry(made).save(force_insert=True)
    return made


@transaction.atomic
def hold_many(
    account: Account, request_ids: Sequence[str], *, channel: str, key: ApiKey | None, until: datetime
) -> list[Hold]:
    """Hold one credit for each of `request_ids`, in their order: included credits first, then prepaid ones.

    All or none. They stay on hold until they are settled, at most until `until`, when the sweeper voids them.
    Raises KeyLimitReached when the key's cap leaves fewer, NotEnoughCredits when the account does, and AccessEnded if the
    account or the key has become invalid.
    """
    now = timezone.now()
    month, count = month_of(now), len(request_ids)
    window = get_window(account, now)
    if key is None:
        standing.check(account.user_id, None)
    elif not key_usage.take(key, month, count):
        raise KeyLimitReached(int((month_bounds(month)[1] - now).total_seconds()) + 1)
    included = _take_included(window, count)
    if not Account.objects.filter(pk=account.pk, prepaid_balance__gte=count - included).update(
        prepaid_balance=F("prepaid_balance") - (count - included)
    ):
        left = included + Account.objects.values_list("prepaid_balance", flat=True).get(pk=account.pk)
        raise NotEnoughCredits(count, left, window.seconds_left(now))
    buckets = [Bucket.INCLUDED] * included + [Bucket.PREPAID] * (count - included)
    made = Hold.objects.bulk_create(
        Hold(
            account=account, key=key, channel=channel, request_id=request_id, bucket=bucket, window=window, month=month,
            held_until=until,
        )
        for request_id, bucket in zip(request_ids, buckets, strict=True)
    )  # fmt: skip
    LedgerEntry.objects.bulk_create(_hold_entry(each) for each in made)
    return made


def check_credits(account: Account, count: int) -> None:
    """Raise NotEnoughCredits if `hold_many` would raise it now. Holds nothing: another request may still be faster."""
    now = timezone.now()
    window = get_window(account, now)
    left = max(0, window.allowance - window.used - window.held) + account.prepaid_balance
    if left < count:
        raise NotEnoughCredits(count, left, window.seconds_left(now))


@transaction.atomic
def post(held: Hold) -> bool:
    """Spend the held credit: the image exists. False if the hold was already settled: see `hold_again`."""
    if not _settle(held, Hold.State.POSTED):
        return False
    if held.key_id is not None:
        key_usage.post(held.key_id, held.month)
    if held.bucket == Bucket.INCLUDED:
        execute(_USE_IN_WINDOW[held.channel], held.window_id)
        in_month = (_USE_IN_MONTH[held.channel], held.account_id, held.month.isoformat())
        if not execute(*in_month):
            MonthlyUsage.objects.get_or_create(account_id=held.account_id, month=held.month)
            execute(*in_month)
    usage.schedule(held)
    _record(held, LedgerEntry.Kind.POST, available=0, held=-1, reference=f"settle:{held.pk}")
    return True


@transaction.atomic
def void(held: Hold) -> bool:
    """Free the held credit: there will be no image. False if the hold was already settled."""
    if not _settle(held, Hold.State.VOIDED):
        return False
    if held.key_id is not None:
        key_usage.give_back(held.key_id, held.month)
    if held.bucket == Bucket.INCLUDED:
        UsageWindow.objects.filter(pk=held.window_id).update(held=F("held") - 1)
    else:
        Account.objects.filter(pk=held.account_id).update(prepaid_balance=F("prepaid_balance") + 1)
    _void_entry(held).save(force_insert=True)
    if held.bucket == Bucket.PREPAID:
        _collect_due(held.account_id, [held])
    return True


@transaction.atomic
def void_many(hold_ids: Sequence[uuid.UUID]) -> int:
    """Free those of the credits that are still on hold: there will be no images. Returns how many."""
    # In id order, so that two concurrent calls wait for each other and never deadlock.
    locked = Hold.objects.select_for_update(no_key=True).filter(pk__in=hold_ids, state=Hold.State.HELD).order_by("pk")
    found = list(locked)
    Hold.objects.filter(pk__in=[held.pk for held in found]).update(state=Hold.State.VOIDED, settled_at=timezone.now())
    for (key_id, month), count in Counter((held.key_id, held.month) for held in found).items():
        if key_id is not None:
            key_usage.give_back(key_id, month, count)
    included = Counter(held.window_id for held in found if held.bucket == Bucket.INCLUDED)
    for window_id, count in sorted(included.items()):
        UsageWindow.objects.filter(pk=window_id).update(held=F("held") - count)
    prepaid = Counter(held.account_id for held in found if held.bucket == Bucket.PREPAID)
    for account_id, count in sorted(prepaid.items()):
        Account.objects.filter(pk=account_id).update(prepaid_balance=F("prepaid_balance") + count)
    LedgerEntry.objects.bulk_create(_void_entry(held) for held in found)
    for account_id in sorted(prepaid):
        _collect_due(account_id, [held for held in found if held.account_id == account_id and held.bucket == Bucket.PREPAID])
    return len(found)


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
    """Hold and spend another credit for a request whose hold was voided while it was running. Returns the new hold.

    The new credit counts in the current window and month, and against the same key's cap. A hold that was already spent is
    returned unchanged. Raises HoldExpired when no credit is left; nothing is held then.
    """
    if Hold.objects.filter(pk=lost.pk, state=Hold.State.POSTED).exists():
        return lost
    account = get_account(lost.account.user)
    try:
        made = hold(account, channel=lost.channel, key=lost.key, request_id=lost.request_id)
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
    """Add prepaid credits, once per `reference`. False if the reference was used before. Raises ValueError below 1."""
    if credits < 1:
        raise ValueError(f"a grant must be of at least 1 credit, got {credits}")
    return _change_prepaid(account, credits, LedgerEntry.Kind.GRANT, reference=reference, note=note)


@transaction.atomic
def refund_prepaid(
    account: Account, credits: int, *, reference: str, note: str = "", purchase: PackPurchase | None = None
) -> int:
    """Take back up to `credits` prepaid credits, once per `reference`. What was already spent stays spent.

    Credits that are on hold now are taken when their hold is voided, and then counted in the purchase's `taken_back`: see
    `billing.credits.due`. Returns how many were taken immediately; 0 for a reference that was used before.
    """
    if is_used(reference):
        return 0
    taken = min(credits, _locked_balance(account))
    if not _change_prepaid(account, -taken, LedgerEntry.Kind.REFUND, reference=reference, note=note):
        return 0
    due.remember(account, credits - taken, reference=reference, purchase=purchase)
    return taken


def is_used(reference: str) -> bool:
    """Whether credits have already moved under this reference."""
    return LedgerEntry.objects.filter(reference=reference).exists()


@transaction.atomic
def adjust(account: Account, credits: int, *, staff: User, reason: str, token: uuid.UUID | None = None) -> bool:
    """Give or, below zero, take prepaid credits for support. Raises ReasonRequired, or BalanceTooLow.

    A `token` moves credits only once: False if it was used before.
    """
    if not reason.strip():
        raise ReasonRequired
    if credits < 0 and _locked_balance(account) < -credits:
        raise BalanceTooLow
    note = f"{reason.strip()} ({staff.email})"[:255]
    reference = f"adjust:{token or uuid.uuid4()}"
    return _change_prepaid(account, credits, LedgerEntry.Kind.ADJUST, reference=reference, note=note)


def _locked_balance(account: Account) -> int:
    """The prepaid balance, locked until the transaction ends."""
    return Account.objects.select_for_update(no_key=True).values_list("prepaid_balance", flat=True).get(pk=account.pk)


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


def _take(account: Account, window: UsageWindow) -> Bucket | None:
    if execute(_TAKE_INCLUDED, window.pk):
        return Bucket.INCLUDED
    if execute(_TAKE_PREPAID, account.pk):
        return Bucket.PREPAID
    return None


def _take_included(window: UsageWindow, count: int) -> int:
    """Hold up to `count` included credits and return how many. The window is locked until the transaction ends."""
    locked = UsageWindow.objects.select_for_update(no_key=True).get(pk=window.pk)
    taken = max(0, min(count, locked.allowance - locked.used - locked.held))
    UsageWindow.objects.filter(pk=window.pk).update(held=F("held") + taken)
    return taken


def _change_prepaid(account: Account, credits: int, kind: LedgerEntry.Kind, *, reference: str, note: str) -> bool:
    """Change the prepaid balance by an amount that the caller has checked, once per reference."""
    _, created = LedgerEntry.objects.get_or_create(
        reference=reference,
        defaults={"account": account, "kind": kind, "bucket": Bucket.PREPAID, "available": credits, "note": note},
    )
    if created:
        Account.objects.filter(pk=account.pk).update(prepaid_balance=F("prepaid_balance") + credits)
    return created


def _collect_due(account_id: int, voided: Sequence[Hold]) -> None:
    """In the transaction that voids these prepaid holds, take what refunds could not take while they were open."""
    for payment in due.collect(account_id, [held.pk for held in voided]):
        _change_prepaid(
            voided[0].account, -payment.credits, LedgerEntry.Kind.REFUND, reference=payment.reference, note=payment.note
        )


def _grant_included(window: UsageWindow, allowance: int, *, only_up: bool, note: str) -> None:
    """Set a window's allowance to `allowance`. Locks the window, so that two concurrent changes do not add up."""
    locked = UsageWindow.objects.select_for_update(no_key=True).get(pk=window.pk)
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
    return bool(execute(_SETTLE, state.value, now, pk))


def _hold_entry(made: Hold) -> LedgerEntry:
    return _entry(made, LedgerEntry.Kind.HOLD, available=-1, held=1, reference=f"hold:{made.pk}")


def _void_entry(held: Hold) -> LedgerEntry:
    return _entry(held, LedgerEntry.Kind.VOID, available=1, held=-1, reference=f"settle:{held.pk}")


def _record(of: Hold, kind: LedgerEntry.Kind, *, available: int, held: int, reference: str) -> None:
    _entry(of, kind, available=available, held=held, reference=reference).save(force_insert=True)


def _entry(of: Hold, kind: LedgerEntry.Kind, *, available: int, held: int, reference: str) -> LedgerEntry:
    return LedgerEntry(
        account_id=of.account_id,
        kind=kind,
        bucket=of.bucket,
        available=available,
        held=held,
        reference=reference,
        window_id=of.window_id if of.bucket == Bucket.INCLUDED else None,
        hold=of,
    )
