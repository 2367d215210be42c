"""Writes a `RequestRecord` for each answered call of `/rmbg`, in the background.

A call only appends to a list in memory. A thread of the web process writes the list once a second, or as soon as a batch is
full, so no caller waits for it. Failed writes are retried; beyond CAPACITY the oldest records are dropped. Records are not
money: a killed process loses its last second of them, and the ledger loses nothing.

Calls that anyone can make endlessly and for free leave few records; otherwise a flood would fill the database: see
`records_per_minute`. The metrics count every call.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from accounts.deletion import IS_DELETED
from accounts.models import User
from billing.models import RequestRecord
from lib.ops.lifecycle import BackgroundThread

logger = logging.getLogger(__name__)

CAPACITY = 10_000
BATCH = 200
INTERVAL_SECONDS = 1.0
# Rows deleted per statement, and statements per sweep: nothing waits long for their locks.
PURGE_BATCH = 5_000
PURGE_ROUNDS = 20
# Records per minute and process for calls refused before they cost anything: enough to see that they occur.
REFUSED_PER_MINUTE = 1
# The same for our failures with unknown callers. /status needs to see a trend, not each of them.
FAILED_PER_MINUTE = 20
# Kinds of such calls counted separately. Beyond this, new kinds leave no record in the minute.
KINDS = 5_000


def records_per_minute(facts: Mapping[str, Any]) -> int | None:
    """How many records of such calls a process keeps per minute; None for all.

    All are kept of delivered calls, and of known customers' calls within their limit of requests per minute.
    """
    status = facts.get("status", 0)
    if status < 400:
        return None
    if facts.get("account_id") is None:
        return REFUSED_PER_MINUTE if status < 500 else FAILED_PER_MINUTE
    return REFUSED_PER_MINUTE if facts.get("code") == "rate_limited" else None


class _Minute:
    """Counts the records of each kind in the current minute. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._number = 0
        self._counts: Counter[tuple[Any, ...]] = Counter()

    def has_room(self, facts: Mapping[str, Any]) -> bool:
        """Whether this call should leave a record. If so, counts it."""
        most = records_per_minute(facts)
        if most is None:
            return True
        kind = tuple(facts.get(name) for name in ("account_id", "key_id", "channel", "status", "code"))
        with self._guard:
            number = int(time.monotonic() // 60)
            if number != self._number:
                self._number, self._counts = number, Counter()
            is_new = kind not in self._counts
            if self._counts[kind] >= most or (is_new and len(self._counts) >= KINDS):
                return False
            self._counts[kind] += 1
            return True


class RequestLog(BackgroundThread):
    """Buffers records for the database. Any thread may add; one at a time writes."""

    name = "request-log"
    failure = "request records could not be written"
    # A stopping process writes its last records.
    has_last_round = True
    stop_seconds = 10.0

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        super().__init__()

    def reset(self) -> None:
        super().reset()
        # A forked child starts empty: the parent writes its own records.
        self._records: deque[RequestRecord] = deque()
        self._minute = _Minute()
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._overflowing = False

    def __len__(self) -> int:
        return len(self._records)

    def add(self, **facts: Any) -> None:
        """Add a record with these fields, if the call should leave one. Never raises: the call must still be answered."""
        try:
            if self._minute.has_room(facts):
                self._append(RequestRecord(**facts))
        except Exception:
            logger.exception("a request record was lost")

    def _append(self, record: RequestRecord) -> None:
        with self._guard:
            if len(self._records) >= self.capacity:
                self._records.popleft()
                self._note_overflow()
            self._records.append(record)
            # Wake the writer only once: if the database fails, the next try is after the pause.
            is_batch = len(self._records) == BATCH
        if is_batch:
            self.wake()

    def _note_overflow(self) -> None:
        """Log once until records can be written again."""
        if not self._overflowing:
            self._overflowing = True
            logger.error("request records are being dropped: they cannot be written", extra={"capacity": self.capacity})

    def flush(self) -> bool:
        """Write all buffered records. False if the database failed; the records are then kept for the next try."""
        with self._writing:
            while batch := self._take():
                try:
                    self._write(batch)
                    _forget_deleted(batch)
                except (OperationalError, InterfaceError) as error:
                    self._put_back(batch)
                    logger.warning("request records not written yet", extra={"count": len(batch), "reason": str(error)})
                    return False
        self._overflowing = False
        return True

    def _take(self) -> list[RequestRecord]:
        with self._guard:
            return [self._records.popleft() for _ in range(min(BATCH, len(self._records)))]

    def _put_back(self, batch: list[RequestRecord]) -> None:
        """Return records without a database id to the front, as far as newer ones have left room."""
        unwritten = [record for record in batch if record.pk is None]
        with self._guard:
            room = self.capacity - len(self._records)
            self._records.extendleft(reversed(unwritten[max(0, len(unwritten) - room) :]))

    def _write(self, batch: list[RequestRecord]) -> None:
        try:
            RequestRecord.objects.bulk_create(batch)
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            # One record that cannot be stored must not hold up the others.
            self._write_singly(batch)

    def _write_singly(self, batch: list[RequestRecord]) -> None:
        for record in batch:
            try:
                RequestRecord.objects.bulk_create([record])
            except (OperationalError, InterfaceError):
                raise
            except DatabaseError:
                logger.exception("a request record was refused", extra={"request": record.request_id})

    def pause(self) -> float:
        return INTERVAL_SECONDS

    def round(self) -> None:
        self.flush()


log = RequestLog()


def forget_old() -> int:
    """Delete records older than REQUEST_LOG_DAYS, up to one sweep's limit. Returns how many."""
    limit = timezone.now() - timedelta(days=settings.REQUEST_LOG_DAYS)
    return _remove(RequestRecord.objects.filter(created_at__lt=limit).order_by("created_at"), PURGE_ROUNDS)


def forget_customer(user_pk: int) -> int:
    """Delete every record of a customer. Returns how many."""
    return _remove(RequestRecord.objects.filter(account__user_id=user_pk).order_by())


def _forget_deleted(written: list[RequestRecord]) -> None:
    """Delete records of calls that ended after their account, with its earlier records, was deleted.

    Checked after the records are written: a deletion later than this check removes them itself.
    """
    accounts = {record.account_id for record in written if record.account_id is not None}
    for user_pk in User.objects.filter(IS_DELETED, account__in=accounts).values_list("pk", flat=True) if accounts else ():
        forget_customer(user_pk)


def _remove(records: QuerySet[RequestRecord], rounds: int | None = None) -> int:
    """Delete in statements of PURGE_BATCH rows, at most `rounds` of them."""
    removed = done = 0
    while rounds is None or done < rounds:
        count = RequestRecord.objects.filter(pk__in=records.values("pk")[:PURGE_BATCH]).delete()[0]
        removed, done = removed + count, done + 1
        if count < PURGE_BATCH:
            break
    return removed
