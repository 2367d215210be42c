"""`Idempotency-Key`: a request and its retries with the same key within a day are charged once."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts import standing
from accounts.models import ApiKey
from billing.credits import ledger
from billing.credits.refusals import HoldExpired
from billing.models import Account, Hold, IdempotencyRecord

LIFETIME = timedelta(hours=24)
# A retry does all the work again and costs nothing. Clients with automatic retries try 2 to 5 times.
MAX_REPLAYS = 10
# Visible ASCII, as in the header's draft (draft-ietf-httpapi-idempotency-key-header), quoted or not.
VALID_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class InvalidIdempotencyKey(Exception):
    """The header is empty, too long or not visible ASCII."""


class IdempotencyKeyReused(Exception):
    """The key was used for a different request."""


class IdempotencyInProgress(Exception):
    """The first request with the key is still running."""


class IdempotencyKeyUsedUp(Exception):
    """The delivered request was retried `retries` times, the most that is free."""

    def __init__(self, retries: int) -> None:
        super().__init__(retries)
        self.retries = retries


@dataclass(frozen=True, slots=True)
class Retry:
    """A caller's key and the fingerprint of its request: the SHA-256 of image and options."""

    key: str
    fingerprint: str


def find_retry_key(request: HttpRequest) -> str | None:
    """The caller's `Idempotency-Key`, if there is one. Raises InvalidIdempotencyKey."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not VALID_KEY.fullmatch(key):
        raise InvalidIdempotencyKey
    return key


@transaction.atomic
def hold_once(account: Account, retry: Retry, key: ApiKey | None, hold: Callable[[], Hold]) -> Hold | None:
    """Make the `hold` of this request. Returns None, with nothing to pay, if an earlier try was delivered.

    Raises IdempotencyKeyReused, IdempotencyInProgress, or IdempotencyKeyUsedUp after MAX_REPLAYS retries of a delivered
    request; also what `hold` raises.
    """
    # The row's lock makes a simultaneous second try wait until the first one's hold is visible.
    record, _ = IdempotencyRecord.objects.select_for_update(no_key=True).get_or_create(
        account=account, key=retry.key, defaults={"fingerprint": retry.fingerprint}
    )
    if record.created_at < timezone.now() - LIFETIME:
        record.fingerprint, record.hold, record.created_at = retry.fingerprint, None, timezone.now()
        record.replays = 0
    if record.fingerprint != retry.fingerprint:
        raise IdempotencyKeyReused
    state = record.hold.state if record.hold else Hold.State.VOIDED
    if state == Hold.State.HELD:
        raise IdempotencyInProgress
    if state == Hold.State.POSTED:
        standing.check(account.user_id, key)
        if record.replays >= MAX_REPLAYS:
            raise IdempotencyKeyUsedUp(MAX_REPLAYS)
        record.replays += 1
        record.save(update_fields=["replays"])
        return None
    record.hold = hold()
    record.save(update_fields=["fingerprint", "hold", "replays", "created_at"])
    return record.hold


@transaction.atomic
def hold_again(lost: Hold, retry: Retry) -> Hold:
    """`ledger.hold_again` for a request with a key. The key refers to the new hold from then on.

    Also raises HoldExpired when a later try with the key holds or has spent the credit.
    """
    # The row's lock makes a later try wait until the new hold is visible.
    records = IdempotencyRecord.objects.select_for_update(no_key=True)
    record = records.filter(account_id=lost.account_id, key=retry.key, hold_id=lost.pk).first()
    if record is None:
        raise HoldExpired
    record.hold = ledger.hold_again(lost)
    record.save(update_fields=["hold"])
    return record.hold


def give_back(account: Account, retry: Retry) -> None:
    """Uncount a retry of a delivered request that failed, for example because no slot was free."""
    records = IdempotencyRecord.objects.filter(account=account, key=retry.key, replays__gt=0)
    records.update(replays=F("replays") - 1)


def forget_old() -> int:
    """Remove records that retries can no longer use. Returns how many."""
    return IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - LIFETIME).delete()[0]
