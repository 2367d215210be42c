"""A batch is made at the very moment its account or its key ends: in either order, the outcome is right."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.deletion import delete_account
from accounts.models import ApiKey, User
from accounts.standing import AccessEnded
from billing.credits import ledger
from billing.models import Hold
from imaging.batches import creation
from imaging.models import Batch, BatchItem, Callback
from tests.imaging.batches.forms import post

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    # SQLite's test database is in memory, where threads share one cache and get "table is locked" instead of a turn.
    pytest.mark.skipif(connection.vendor == "sqlite", reason="`make test-postgres` runs this"),
]
ENDS: dict[str, Callable[[User], Any]] = {
    "deleted": delete_account,
    "locked": lambda user: user.set_active(False),
    "revoked": lambda user: ApiKey.objects.get(user=user).revoke(),
    "all keys revoked": lambda user: user.revoke_keys(),
    "rotated": lambda user: ApiKey.objects.get(user=user).rotate(timedelta(0)),
}


@contextmanager
def in_thread() -> Iterator[Callable[[Callable[[], Any]], "Future[Any]"]]:
    """Runs functions in threads, each on its own connection."""

    def run(act: Callable[[], Any]) -> Any:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        yield lambda act: pool.submit(run, act)


def send(key: str, png: bytes) -> Any:
    return post(key, ("secret name.png", png), ("b.png", png), callback_url="https://example.com/hook")


@pytest.mark.parametrize("end", ENDS)
def test_the_batch_is_first(end, user, key, small_png, pictures, monkeypatch):
    inside, go_on = Event(), Event()
    insert = creation._insert

    def pause(batch):
        made = insert(batch)
        inside.set()
        assert go_on.wait(10)
        return made

    monkeypatch.setattr(creation, "_insert", pause)
    with in_thread() as start:
        batch = start(lambda: send(key, small_png))
        assert inside.wait(10)
        ending = start(lambda: ENDS[end](User.objects.get(pk=user.pk)))
        with pytest.raises(TimeoutError):
            ending.result(0.5)
        go_on.set()
        ending.result(10)
        assert batch.result(10).status_code == 202
    if end == "deleted":
        assert Batch.objects.get().erased_at is not None
        assert Batch.objects.get().callback_url == ""
        assert set(BatchItem.objects.values_list("name", flat=True)) == {""}
        assert not Callback.objects.filter(state="pending").exists()
        assert set(Hold.objects.values_list("state", flat=True)) == {"voided"}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_is_first(end, user, key, small_png, pictures, monkeypatch):
    stored, inside, go_on = Event(), Event(), Event()
    store = creation._store

    def wait_for_the_end(batch, form):
        store(batch, form)
        stored.set()
        assert inside.wait(10)

    def end_slowly():
        assert stored.wait(10)
        with transaction.atomic():
            ENDS[end](User.objects.get(pk=user.pk))
            inside.set()
            assert go_on.wait(10)

    monkeypatch.setattr(creation, "_store", wait_for_the_end)
    with in_thread() as start:
        ending = start(end_slowly)
        batch = start(lambda: send(key, small_png))
        with pytest.raises(TimeoutError):
            batch.result(1.0)
        go_on.set()
        ending.result(10)
        answer = batch.result(10)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
    assert not Batch.objects.exists()
    assert not Hold.objects.exists()
    assert not [path for path in pictures.rglob("*") if path.is_file()]


def test_batches_made_at_once_are_counted_one_by_one(user, key, settings, pictures):
    """Including those that hold no credit."""
    settings.BATCHES_PER_DAY, settings.RATE_LIMIT_ENABLED = 3, False
    with in_thread() as start:
        codes = [one.result(20).status_code for one in [start(lambda: post(key, urls=("nonsense",))) for _ in range(8)]]
    assert sorted(codes) == [202] * 3 + [429] * 5


@pytest.mark.parametrize("end", ["deleted", "revoked"])
def test_holds_and_ends_that_meet_never_deadlock(end, user, key):
    """Holds of requests do not lock the user; they are right before the end and refused after it."""
    account, found = ledger.get_account(user), ApiKey.objects.get(user=user)

    def hold_some(prefix: int) -> int:
        for number in range(8):
            try:
                ledger.post(ledger.hold(account, channel="api", key=found, request_id=f"{prefix}-{number}"))
            except AccessEnded:
                return number
        return 8

    with in_thread() as start:
        holding = [start(lambda prefix=prefix: hold_some(prefix)) for prefix in range(3)]
        start(lambda: ENDS[end](User.objects.get(pk=user.pk))).result(20)
        held = sum(one.result(20) for one in holding)
    assert Hold.objects.filter(state="posted").count() == Hold.objects.count() == held
