"""Callbacks of customers who leave, and what operators see of all of them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.deletion import delete_account
from imaging.callbacks import delivery
from imaging.models import Batch, Callback, CallbackSecret, CallbackTry
from tests.imaging.callbacks.receiver import BROKEN, OK, ended_batch, receiver, try_now, url_of

pytestmark = pytest.mark.django_db
__all__ = ["receiver"]


def test_a_customer_who_leaves_gets_no_more_callbacks(user, receiver):
    host = receiver(lambda path: [BROKEN])
    ended_batch(user, url_of(host))
    try_now()
    delete_account(user)
    assert try_now() == 0
    assert len(host.requests) == 1
    assert Callback.objects.get().state == "failed"
    assert Batch.objects.get().callback_url == ""
    assert not CallbackSecret.objects.exists()


def test_operators_see_what_waits_and_what_ended(user, receiver, client):
    outcomes = iter([OK, OK, BROKEN, BROKEN])
    host = receiver(lambda path: [next(outcomes)])
    for _ in range(4):
        ended_batch(user, url_of(host))
        delivery.try_due(1)
    long_ago = timezone.now() - timedelta(hours=2)
    Callback.objects.filter(pk=Callback.objects.filter(state="delivered").values("pk")[:1]).update(ended_at=long_ago)
    late = Callback.objects.filter(state="pending").order_by("pk")[0]
    Callback.objects.filter(pk=late.pk).update(next_try_at=timezone.now() - timedelta(minutes=5))
    metrics = client.get("/metrics").content.decode()
    for state, count in (("pending", 2), ("delivered", 1), ("failed", 0)):
        assert f'rembg_callbacks{{state="{state}"}} {count}.0\n' in metrics
    seconds = float(metrics.split("\nrembg_callback_late_seconds ")[1].split("\n")[0])
    assert 300 <= seconds < 310
    assert CallbackTry.objects.count() == 4
