"""Work that one of many processes does every so often: a row of the database says when it is due again."""

from datetime import timedelta

from django.db import IntegrityError
from django.utils import timezone

from accounts.models import Chore


def take(name: str, every: timedelta) -> bool:
    """Whether the chore is due, and this process is the one that does it now. It is due again after `every`.

    Of many that ask in the same moment one hears True, since one statement both looks and moves the time on. A process that
    is killed in the middle leaves the rest of the chore to the next time.
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
    """It was done just now, however it came to that."""
    Chore.objects.update_or_create(name=name, defaults={"due_at": timezone.now() + every})
