"""Creates a batch: stores its images, then inserts its rows and all of its holds at once.

Files are stored first, under the new batch's id; then one transaction creates the batch with its holds. A process killed
in between leaves neither a charge nor a batch, only files that no row refers to; `expiry` erases them within two hours.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import standing
from billing.credits import ledger
from billing.credits.admission import Customer
from billing.credits.idempotency import LIFETIME, IdempotencyKeyReused, Retry
from billing.credits.prices import IMAGE, get_price
from billing.metrics import count
from billing.models import Account, Hold
from imaging.batches import dispatch, ends, files
from imaging.batches.refusals import DailyBatchLimitReached, TooManyBatches
from imaging.batches.upload import BatchForm, Entry
from imaging.executor import models
from imaging.models import Batch, BatchItem, stored_options
from lib.ops.database import give_back
from lib.web.texts import storable

# An image is rarely quicker, and a batch has many.
# The sweeper must not void a hold that `expiry` is about to end together with its image.
GRACE = timedelta(hours=1)
DAY = timedelta(hours=24)
# With a slash and a position appended, it has to fit into the hold's column.
MAX_REQUEST_ID = 120
# The column's maximum. A zip entry may claim to be larger, and is refused for it.
MAX_SIZE = 2**31 - 1
MAX_URL = BatchItem._meta.get_field("source_url").max_length or 0


def create(customer: Customer, account: Account, form: BatchForm, *, request_id: str, retry_key: str | None) -> Batch:
    """Create the batch, or return the one that an earlier request with the same `Idempotency-Key` created.

    Raises IdempotencyKeyReused, NotEnoughCredits, KeyLimitReached, what `check_places` raises, and AccessEnded if the
    account was deleted or locked, or the key revoked, while the form arrived.
    """
    standing.check(account.user_id, customer.caller.key)
    retry = Retry(retry_key, form.fingerprint()) if retry_key else None
    if retry and (made := _find_earlier(account, retry)):
        return made
    # Both are checked again in the transaction. Checking here avoids storing images that would be refused.
    check_places(account)
    price = get_price(IMAGE, models.name_of(form.cutout_options.model))
    ledger.check_credits(account, price * sum(entry.problem is None for entry in form.entries))
    batch = _new_batch(customer, account, form, request_id, retry)
    try:
        _store(batch, form)
        made = _record(batch, form.entries, price)
    except BaseException:
        files.erase(batch.pk)
        raise
    if made.pk != batch.pk:
        files.erase(batch.pk)
        check_fingerprint(made, batch.fingerprint)
    return made


def check_fingerprint(batch: Batch, fingerprint: str) -> None:
    """Raise IdempotencyKeyReused if the batch was created by a different request."""
    if batch.fingerprint != fingerprint:
        raise IdempotencyKeyReused


def _find_earlier(account: Account, retry: Retry) -> Batch | None:
    made = Batch.objects.filter(account=account, idempotency_key=retry.key, created_at__gte=_oldest_retry()).first()
    if made is not None:
        check_fingerprint(made, retry.fingerprint)
    return made


def _oldest_retry() -> datetime:
    return timezone.now() - LIFETIME


def check_places(account: Account) -> None:
    """Raise TooManyBatches or DailyBatchLimitReached if the account may not create a batch now."""
    _check_places(account, made=0)


def _check_places(account: Account, *, made: int) -> None:
    """The same, where `made` (0 or 1) of the existing batches is the one being checked."""
    batches = Batch.objects.filter(account=account)
    if batches.filter(state=Batch.State.PROCESSING).count() >= settings.BATCHES_AT_ONCE + made:
        raise TooManyBatches
    # Failed and deleted batches cost nothing, but their rows stay for REQUEST_LOG_DAYS, so all of them count.
    before = batches.order_by("-created_at").values_list("created_at", flat=True)
    oldest = before[settings.BATCHES_PER_DAY - 1 + made :][:1].first()
    left = DAY - (timezone.now() - oldest) if oldest else timedelta()
    if left > timedelta():
        raise DailyBatchLimitReached(int(left.total_seconds()) + 1)


def _new_batch(customer: Customer, account: Account, form: BatchForm, request_id: str, retry: Retry | None) -> Batch:
    now = timezone.now()
    return Batch(
        id=uuid.uuid4(), account=account, key=customer.caller.key, channel=customer.caller.channel,
        request_id=request_id, options=form.options, parsed_options=stored_options(form.cutout_options),
        callback_url=form.callback_url,
        idempotency_key=retry.key if retry else None, fingerprint=retry.fingerprint if retry else "",
        created_at=now, expires_at=now + timedelta(hours=settings.BATCH_HOURS),
    )  # fmt: skip


def _store(batch: Batch, form: BatchForm) -> None:
    # This may send gigabytes to a remote store.
    give_back()
    if form.background is not None:
        files.store_background(batch.pk, form.content(form.background))
    for position, entry in enumerate(form.entries):
        if entry.problem is None and not entry.url:
            files.store_input(batch.pk, position, form.content(entry))


@transaction.atomic
def _record(batch: Batch, entries: list[Entry], price: int) -> Batch:
    """Insert rows and holds, all or none. Returns the other batch if one with the same key was inserted first."""
    standing.lock(batch.account.user_id, batch.key)
    made = _insert(batch)
    if made.pk != batch.pk:
        return made
    items = _make_items(batch, entries, price)
    # The user's row is locked, so batches created at the same moment are counted one after another.
    _check_places(batch.account, made=1)
    ends.end_batch_if_last(batch.pk)
    dispatch.on_commit(items)
    return batch


def _insert(batch: Batch) -> Batch:
    """Of two requests with the same key, the second waits here for the first one's transaction and gets its batch."""
    if batch.idempotency_key is None:
        batch.save(force_insert=True)
        return batch
    old = Batch.objects.filter(account=batch.account, idempotency_key=batch.idempotency_key)
    old.filter(created_at__lt=_oldest_retry()).update(idempotency_key=None)
    values = {field.attname: getattr(batch, field.attname) for field in Batch._meta.concrete_fields}
    unique = {name: values.pop(name) for name in ("account_id", "idempotency_key")}
    return Batch.objects.get_or_create(**unique, defaults=values)[0]


def _make_items(batch: Batch, entries: list[Entry], price: int) -> list[BatchItem]:
    good = [position for position, entry in enumerate(entries) if entry.problem is None]
    ids = [f"{batch.request_id[:MAX_REQUEST_ID]}/{position}" for position in good]
    held = _hold_all(batch, ids, price) if ids else []
    transaction.on_commit(lambda: count(price * len(held), "held"))
    holds = dict(zip(good, held, strict=True))
    items = [_item(batch, position, entry) for position, entry in enumerate(entries)]
    for position, hold in holds.items():
        items[position].hold = hold
    return BatchItem.objects.bulk_create(items)


def _hold_all(batch: Batch, ids: list[str], price: int) -> list[Hold]:
    until = batch.expires_at + GRACE
    return ledger.hold_many(batch.account, ids, channel=batch.channel, key=batch.key, until=until, price=price)


def _item(batch: Batch, position: int, entry: Entry) -> BatchItem:
    url, size = storable(entry.url, MAX_URL), min(entry.size, MAX_SIZE)
    item = BatchItem(batch=batch, position=position, name=entry.name, source_url=url, size=size)
    if entry.problem is not None:
        item.state, item.finished_at = BatchItem.State.FAILED, batch.created_at
        item.code, item.error = (
            entry.problem.code,
            ends.shortened(storable(entry.problem.message, len(entry.problem.message))),
        )
    return item
