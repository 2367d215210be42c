"""Several workers at the same time, each on its own connection."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from imaging.callbacks import delivery
from imaging.callbacks.secrets import get_secret
from imaging.models import Callback, CallbackTry
from tests.imaging.callbacks.receiver import OK, ended_batch, receiver, url_of

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    # SQLite's test database is in memory, where threads share one cache and get "table is locked" instead of a turn.
    pytest.mark.skipif(connection.vendor == "sqlite", reason="`make test-postgres` runs this"),
]
__all__ = ["receiver"]
WORKERS, CALLBACKS = 6, 5


def in_all_workers(act):
    """Call `act` in every worker at the same moment."""
    barrier = Barrier(WORKERS)

    def work(_: int):
        try:
            barrier.wait(10)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, range(WORKERS)))


def test_each_callback_is_tried_by_one_of_many_workers(user, receiver):
    host = receiver(lambda path: [OK])
    for _ in range(CALLBACKS):
        ended_batch(user, url_of(host))
    get_secret(user.account)
    assert sum(in_all_workers(lambda: delivery.try_due(CALLBACKS))) == CALLBACKS
    assert len(host.requests) == CallbackTry.objects.count() == CALLBACKS
    assert Callback.objects.filter(state="delivered", tries=1).count() == CALLBACKS


def test_many_first_uses_make_one_secret(user):
    assert len(set(in_all_workers(lambda: get_secret(user.account).secret))) == 1
