"""Creates and queues callbacks: when a batch ends, and when someone asks for another attempt."""

from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from imaging.callbacks import tasks
from imaging.callbacks.runner import runner
from imaging.models import Batch, Callback, CallbackTry

# A customer who asks this often has to fix the receiver first.
MAX_TRIES = 100


class CallbackGone(Exception):
    """The callback's URL was erased."""


class TriesUsedUp(Exception):
    """The callback was tried MAX_TRIES times."""


def announce(batch: Batch) -> None:
    """Create and queue a batch's callback, if it has a callback URL. Called in the transaction that ends the batch."""
    if not batch.callback_url:
        return
    callback, is_new = Callback.objects.get_or_create(batch=batch)
    if is_new:
        _queue(callback.pk)


@transaction.atomic
def send_again(callback: Callback) -> None:
    """Queue another attempt of a callback, now. Does nothing while an attempt is under way.

    Raises CallbackGone or TriesUsedUp.
    """
    if not callback.batch.callback_url:
        raise CallbackGone
    # An attempt that is under way is counted but not recorded yet.
    written = CallbackTry.objects.filter(callback=OuterRef("pk"), number=OuterRef("tries"))
    idle = Callback.objects.filter(Exists(written), pk=callback.pk)
    if idle.filter(tries__gte=MAX_TRIES).exists():
        raise TriesUsedUp
    if idle.update(state=Callback.State.PENDING, next_try_at=timezone.now(), ended_at=None):
        _queue(callback.pk)
    callback.refresh_from_db()


def _queue(pk: UUID) -> None:
    # Without a broker a task would keep the caller waiting for the receiver.
    queue = partial(tasks.try_callback.delay, str(pk)) if settings.CELERY_BROKER_URL else runner.wake
    transaction.on_commit(queue, robust=True)
