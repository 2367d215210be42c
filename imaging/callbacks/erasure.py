"""Erases the data of callbacks when a customer deletes the account; only the fact that they existed remains."""

from django.utils import timezone

from accounts.models import User
from imaging.models import Batch, Callback, CallbackSecret


def erase_callbacks(user: User) -> None:
    """Fail pending callbacks, and erase URLs and the secret. Called in the deletion's transaction."""
    mine = Callback.objects.filter(batch__account__user=user, state=Callback.State.PENDING)
    mine.update(state=Callback.State.FAILED, ended_at=timezone.now())
    Batch.objects.filter(account__user=user).exclude(callback_url="").update(callback_url="")
    CallbackSecret.objects.filter(account__user=user).delete()
