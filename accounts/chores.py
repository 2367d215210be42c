"""Periodic work that one of many processes does: a database row says when it is due again."""

from datetime import timedelta

from django.db import IntegrityError
from django.utils import timezone

from accounts.models import Chore


def take(name: str, every: timedelta) -> bool:
    """Claim the chore. Returns whether it is due and this process should do it now. It is due again after `every`.

    If many ask at the same moment only one gets True, since a single statement checks and advances the time. If a process is
    killed midway, the rest of the chore waits for the next time.
    """
    now = timezone.now()
    if Chore.objects.filter(name=name, due_at__lte=now).update(due_at=now + every):
        return True
    if Chore.objects.filter(name=name).exists():
        return False
    try:
        return Chore.objects.get_or_create(name=name, defaults={"due_at": now + every})[1]
    except IntegrityError:
        return False


def put_off(name: str, every: timedelta) -> None:
    """Record that the chore has just been done some other way."""
    Chore.objects.update_or_create(name=name, defaults={"due_at": timezone.now() + every})
