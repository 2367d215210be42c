"""Everything that can happen to an account's credits, one function each.

A balance changes only by a guarded single statement (`UPDATE … WHERE enough is left`), never by reading and then writing,
and always in one transaction with the ledger row that explains it. Rows are locked in one order, key, window, account,
so that a hold and a post that meet wait for each other and never deadlock.
"""

import uuid

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import key_usage
from accounts.models import ApiKey, User
from billing.models import Account, Bucket, Hold, LedgerEntry, Plan, UsageWindow
from billing.windows import get_month, limiting_window
from config.errors import ApiError

FREE_PLAN = "Free"


def get_account(user: User) -> Account:
    """The account of `user`, with plan and cycle; made on the free plan on first use."""
    account = Account.objects.select_related("plan", "cycle").filter(user=user).first()
    if account is None:
        Account.objects.get_or_create(user=user, defaults={"plan": Plan.objects.get(label=FREE_PLAN)})
        account = Account.objects.select_related("plan", "cycle").get(user=user)
    return account


@transaction.atomic
def hold(account: Account, *, channel: str, key: ApiKey | None, request_id: str) -> Hold:
    """Set one credit aside, an included one if any is left, else a prepaid one.

    Raises ApiError 429, with the seconds to wait: `key_limit_reached` when the key has reached its own monthly cap,
    `monthly_limit_reached` when no credit is left. Nothing is held then.
    """
    now = timezone.now()
    month = get_month(account, now)
    if key is not None and not key_usage.take(key, month.start.date()):
        raise key_limit_reached(month.seconds_left(now))
    window = limiting_window(account, month, now)
    bucket = _take(account, window)
    if bucket is None:
        raise monthly_limit_reached(window.seconds_left(now))
    made = Hold.objects.create(
        account=account,
        key=key,
        channel=channel,
        request_id=request_id,
        bucket=bucket,
        window=window,
        month=month,
    )
    _record(made, LedgerEntry.Kind.HOLD, available=-1, held=1, reference=f"hold:{made.pk}")
    return made


@transaction.atomic
def post(held: Hold) -> bool:
    """The picture exists: the credit is spent. False if the hold was settled before."""
    if not _settle(held, Hold.State.POSTED):
        return False
    if held.key_id is not None:
        key_usage.post(held.key_id, held.month.start.date())
    if held.bucket == Bucket.INCLUDED:
        used = f"{held.channel}_used"
        UsageWindow.objects.filter(pk=held.window_id).update(**{used: F(used) + 1, "held": F("held") - 1})
        if held.month_id != held.window_id:
            UsageWindow.objects.filter(pk=held.month_id).update(**{used: F(used) + 1})
    _record(held, LedgerEntry.Kind.POST, available=0, held=-1, reference=f"settle:{held.pk}")
    return True


@transaction.atomic
def void(held: Hold) -> bool:
    """There will be no picture: the credit is free again. False if the hold was settled before."""
    if not _settle(held, Hold.State.VOIDED):
        return False
    if held.key_id is not None:
        key_usage.give_back(held.key_id, held.month.start.date())
    if held.bucket == Bucket.INCLUDED:
        UsageWindow.objects.filter(pk=held.window_id).update(held=F("held") - 1)
    else:
        Account.objects.filter(pk=held.account_id).update(prepaid_balance=F("prepaid_balance") + 1)
    _record(held, LedgerEntry.Kind.VOID, available=1, held=-1, reference=f"settle:{held.pk}")
    return True


@transaction.atomic
def grant_prepaid(account: Account, credits: int, *, reference: str, note: str = "") -> bool:
    """Add prepaid credits, once per `reference`. False if that reference was used before. Raises ValueError below 1."""
    if credits < 1:
        raise ValueError(f"a grant must be of at least 1 credit, got {credits}")
    _, created = LedgerEntry.objects.get_or_create(
        reference=reference,
        defaults={
            "account": account, "kind": LedgerEntry.Kind.GRANT, "bucket": Bucket.PREPAID, "available": credits, "note": note,
        },
    )  # fmt: skip
    if created:
        Account.objects.filter(pk=account.pk).update(prepaid_balance=F("prepaid_balance") + credits)
    return created


@transaction.atomic
def change_plan(account: Account, plan: Plan) -> None:
    """Put the account on another plan at once; the current calendar month's allowance follows it."""
    month = get_month(account, timezone.now())
    change = plan.included_credits - month.allowance
    account.plan = plan
    account.save(update_fields=["plan"])
    if change:
        UsageWindow.objects.filter(pk=month.pk).update(allowance=F("allowance") + change)
        LedgerEntry.objects.create(
            account=account, kind=LedgerEntry.Kind.GRANT, bucket=Bucket.INCLUDED, available=change, window=month,
            reference=f"plan:{month.pk}:{uuid.uuid4()}", note=f"plan changed to {plan.label}",
        )  # fmt: skip


def monthly_limit_reached(retry_after: int) -> ApiError:
    """The contract's answer when neither an included nor a prepaid credit is left."""
    return ApiError(
        429,
        "monthly_limit_reached",
        "You've reached your monthly limit. Consider purchasing more credits.",
        headers={"Retry-After": str(retry_after)},
    )


def key_limit_reached(retry_after: int) -> ApiError:
    """The answer to a key that has used up the monthly cap which its owner gave it."""
    return ApiError(
        429,
        "key_limit_reached",
        "This API key has reached its monthly credit cap. Raise the cap or use another key.",
        headers={"Retry-After": str(retry_after)},
    )


def _take(account: Account, window: UsageWindow) -> Bucket | None:
    free = UsageWindow.objects.filter(pk=window.pk, allowance__gt=F("app_used") + F("api_used") + F("held"))
    if free.update(held=F("held") + 1):
        return Bucket.INCLUDED
    if Account.objects.filter(pk=account.pk, prepaid_balance__gte=1).update(prepaid_balance=F("prepaid_balance") - 1):
        return Bucket.PREPAID
    return None


def _settle(held: Hold, state: Hold.State) -> bool:
    """Move an open hold to its end. Of two that try, one wins."""
    open_hold = Hold.objects.filter(pk=held.pk, state=Hold.State.HELD)
    return bool(open_hold.update(state=state, settled_at=timezone.now()))


def _record(of: Hold, kind: LedgerEntry.Kind, *, available: int, held: int, reference: str) -> None:
    LedgerEntry.objects.create(
        account_id=of.account_id,
        kind=kind,
        bucket=of.bucket,
        available=available,
        held=held,
        reference=reference,
        window_id=of.window_id if of.bucket == Bucket.INCLUDED else None,
        hold=of,
    )
