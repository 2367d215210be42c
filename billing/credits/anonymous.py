"""The daily allowance of anonymous callers. It is counted in the database, so no restart or lost cache resets it."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from billing.models import AnonymousUsage


class DailyLimitReached(Exception):
    """The address has used its images of today. The next day begins in `seconds_left`, at least 1."""

    def __init__(self, seconds_left: int) -> None:
        super().__init__(seconds_left)
        self.seconds_left = seconds_left


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one address has left today."""

    limit: int
    used: int
    seconds_to_reset: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


def take(address: str) -> int:
    """Use one of today's images and return the row's id, for `give_back`. Raises DailyLimitReached."""
    today = timezone.now().date()
    usage, _ = AnonymousUsage.objects.get_or_create(address_digest=_digest(address), day=today)
    free = AnonymousUsage.objects.filter(pk=usage.pk, used__lt=settings.ANONYMOUS_IMAGES_PER_DAY)
    if not free.update(used=F("used") + 1):
        raise DailyLimitReached(_seconds_to_midnight())
    return usage.pk


def check(address: str) -> None:
    """Raise DailyLimitReached if none of today's images are left. Uses none."""
    if not allowance(address).remaining:
        raise DailyLimitReached(_seconds_to_midnight())


def give_back(usage_id: int) -> None:
    """Uncount an image that was not delivered."""
    AnonymousUsage.objects.filter(pk=usage_id, used__gt=0).update(used=F("used") - 1)


def allowance(address: str) -> Allowance:
    """Today's allowance of an address."""
    usage = AnonymousUsage.objects.filter(address_digest=_digest(address), day=timezone.now().date()).first()
    return Allowance(settings.ANONYMOUS_IMAGES_PER_DAY, usage.used if usage else 0, _seconds_to_midnight())


def _digest(address: str) -> str:
    return hmac.new(settings.SECRET_KEY.encode(), f"anonymous:{address}".encode(), hashlib.sha256).hexdigest()


def _seconds_to_midnight() -> int:
    now = timezone.now()
    midnight = datetime.combine(now.date() + timedelta(days=1), time(tzinfo=UTC))
    return max(1, int((midnight - now).total_seconds()))
