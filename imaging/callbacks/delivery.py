"""Delivers callbacks. Any number of processes may run this: the one that leases a callback attempts it.

Taking a lease moves `next_try_at` forward and counts the attempt, in one conditional update. If a process dies during an
attempt, the callback becomes due again; the receiver may then get it twice, with the same `webhook-id`.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from accounts.models import User
from billing.credits.admission import subject_of
from imaging.callbacks.backoff import find_next_try
from imaging.callbacks.message import body_of
from imaging.callbacks.secrets import get_secret, sign
from imaging.models import Callback, CallbackTry
from lib.outbound import client as outbound
from lib.outbound.lookups import CALLBACKS, Asker

logger = logging.getLogger(__name__)

# Longer than any attempt: DNS lookup, connection, request and response headers share CALLBACK_SECONDS.
LEASE_MARGIN = timedelta(seconds=45)

UNREACHABLE = gettext_noop("The server could not be reached, or its answer broke off.")
TOO_SLOW = gettext_noop("The server did not answer in time.")
NOT_AN_ADDRESS = gettext_noop("The address cannot be called.")
NOT_PUBLIC = gettext_noop("The address leads to where no callback may go.")
OUR_FAULT = gettext_noop("It was not sent, for a reason of our own.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt that began `at`: an HTTP status, or the reason why there is none."""

    at: datetime
    status: int | None
    error: str
    duration_ms: int

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver accepted it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Whether a retry is pointless: the receiver answered 410 Gone, or there is no valid URL (any more)."""
        return self.status == HTTPStatus.GONE or self.error == NOT_AN_ADDRESS


def due(now: datetime) -> QuerySet[Callback]:
    """Callbacks that are due at `now`, the longest waiting first."""
    return Callback.objects.filter(state=Callback.State.PENDING, next_try_at__lte=now).order_by("next_try_at")


def try_due(limit: int) -> int:
    """Try up to `limit` due callbacks, one after another. Returns how many were tried here."""
    ids = list(due(timezone.now()).values_list("pk", flat=True)[:limit])
    return sum(try_once(pk) for pk in ids)


def try_once(pk: UUID) -> bool:
    """Try one callback if it is due and no other process is trying it. Returns whether it was tried."""
    callback = _lease(pk)
    if callback is None:
        return False
    _settle(callback, _post(callback))
    return True


@transaction.atomic
def _lease(pk: UUID) -> Callback | None:
    now = timezone.now()
    until = now + timedelta(seconds=settings.CALLBACK_SECONDS) + LEASE_MARGIN
    if not due(now).filter(pk=pk).order_by().update(next_try_at=until, tries=F("tries") + 1):
        return None
    return Callback.objects.select_related("batch__account").get(pk=pk)


def _post(callback: Callback) -> Outcome:
    at, started = timezone.now(), time.perf_counter()
    status, error = None, ""
    try:
        status = _send(callback, at)
    except outbound.OutboundError as failure:
        error = _reason(failure)
        # Only the host: the rest of a URL may contain a secret.
        facts = {"host": urlsplit(callback.batch.callback_url).hostname, "cause": repr(failure.__cause__ or failure)}
        logger.info("callback not delivered", extra=facts)
    except Exception:
        # Whatever the failure, retries keep their schedule and their limit.
        error = OUR_FAULT
        logger.exception("callback not sent")
    return Outcome(at, status, error, round((time.perf_counter() - started) * 1000))


def _send(callback: Callback, now: datetime) -> int:
    """The status of the response. Nothing else matters: no redirect is followed, and no body is read."""
    batch, body = callback.batch, body_of(callback.batch)
    try:
        secret = get_secret(batch.account)
    except User.DoesNotExist as error:
        raise outbound.InvalidUrl("its account was deleted") from error
    signature = sign(secret, str(callback.pk), now, body)
    headers = {"Content-Type": "application/json", **signature}
    limits = {"ports": settings.CALLBACK_PORTS, "seconds": settings.CALLBACK_SECONDS}
    asker = Asker(CALLBACKS, subject_of(batch.account_id), settings.CALLBACK_SECONDS)
    return outbound.send("POST", batch.callback_url, headers=headers, body=body.encode(), asker=asker, **limits).status


def _reason(failure: outbound.OutboundError) -> str:
    """Only the kind of failure: details could be used to map a network."""
    match failure:
        case outbound.InvalidUrl():
            return NOT_AN_ADDRESS
        case outbound.ForbiddenTarget():
            return NOT_PUBLIC
        case outbound.TooSlow() | outbound.Crowded():
            return TOO_SLOW
        case _:
            return UNREACHABLE


@transaction.atomic
def _settle(callback: Callback, outcome: Outcome) -> None:
    """Record the attempt and update the callback. If the lease was taken over, only a success still changes it."""
    now = timezone.now()
    facts = {"at": outcome.at, "status": outcome.status, "error": outcome.error, "duration_ms": outcome.duration_ms}
    CallbackTry.objects.create(callback=callback, number=callback.tries, **facts)
    pending = Callback.objects.filter(pk=callback.pk, state=Callback.State.PENDING)
    if outcome.is_delivered:
        pending.update(state=Callback.State.DELIVERED, ended_at=now)
        return
    ours = pending.filter(tries=callback.tries)
    following = None if outcome.is_final else find_next_try(callback.tries, _first_try(callback), now)
    if following:
        ours.update(next_try_at=following)
    else:
        ours.update(state=Callback.State.FAILED, ended_at=now)


def _first_try(callback: Callback) -> datetime:
    return CallbackTry.objects.filter(callback=callback).order_by("at").values_list("at", flat=True)[0]
