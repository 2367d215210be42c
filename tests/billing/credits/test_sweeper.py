"""Automatic clean-up: by the web process as well as by Celery beat, once."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts import chores
from accounts.models import ApiKey, Chore, User
from billing import sweeper, tasks
from billing.credits import ledger
from billing.models import Account, Hold, IdempotencyRecord, StripeCustomer
from billing.support import unverified
from billing.sweeper import Sweeper
from imaging.models import Batch

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def stale(user) -> Hold:
    """A credit that a killed process left on hold."""
    hold = ledger.hold(user.account, channel="api", key=None, request_id="killed")
    Hold.objects.update(created_at=timezone.now() - ledger.STALE_HOLD - MINUTE)
    return hold


def state_of(hold: Hold) -> str:
    hold.refresh_from_db()
    return hold.state


def later() -> None:
    """Make every chore due."""
    Chore.objects.update(due_at=timezone.now() - MINUTE)


def test_the_web_process_voids_stale_holds_without_beat(stale):
    Sweeper().run_once()
    assert state_of(stale) == Hold.State.VOIDED


def test_it_runs_repeatedly_and_stops(stale, monkeypatch):
    import threading

    looked = threading.Semaphore(0)
    monkeypatch.setattr(sweeper, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(Sweeper, "round", lambda self: looked.release())
    running = Sweeper()
    running.start()
    running.start()
    assert all(looked.acquire(timeout=10) for _ in range(3))
    running.stop()
    assert running._threads
    assert not any(thread.is_alive() for thread in running._threads)


def test_of_many_processes_one_sweeps(monkeypatch):
    swept = []
    monkeypatch.setattr(tasks, "sweep", lambda: swept.append(1))
    for _ in range(5):
        Sweeper().run_once()
    assert len(swept) == 1
    later()
    for _ in range(5):
        Sweeper().run_once()
    assert len(swept) == 2


def test_while_beat_sweeps_the_web_process_does_not(monkeypatch):
    tasks.sweep()
    monkeypatch.setattr(tasks, "sweep", lambda: pytest.fail("swept twice"))
    Sweeper().run_once()


def test_a_sweep_that_fails_is_retried(stale, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "void_stale", lambda: 1 / 0)
        Sweeper().run_once()
    assert "the sweep failed" in caplog.text
    later()
    Sweeper().run_once()
    assert state_of(stale) == Hold.State.VOIDED


def test_sweeping_twice_does_no_harm(stale, user):
    for _ in range(3):
        tasks.sweep()
    assert state_of(stale) == Hold.State.VOIDED
    assert user.account.ledger.filter(kind="void").count() == 1


def test_a_chore_is_due_again_after_its_time():
    assert chores.take("daily", MINUTE)
    assert not chores.take("daily", MINUTE)
    later()
    assert chores.take("daily", MINUTE)


def test_expired_sessions_and_idempotency_records_are_removed(user, monkeypatch):
    monkeypatch.setattr("accounts.tasks.PURGE_BATCH", 2)
    for _ in range(5):
        Client().force_login(user)
    Session.objects.update(expire_date=timezone.now() - MINUTE)
    Client().force_login(user)
    IdempotencyRecord.objects.create(
        account=user.account, key="old", fingerprint="0", created_at=timezone.now() - timedelta(days=2)
    )
    tasks.sweep()
    assert Session.objects.count() == 1
    assert not IdempotencyRecord.objects.exists()


def test_what_is_done_daily_is_not_done_by_each_sweep(monkeypatch):
    done = []
    monkeypatch.setattr(unverified, "remove", lambda: done.append(1))
    for _ in range(3):
        tasks.sweep()
    assert len(done) == 1


@pytest.fixture
def forgotten(settings, client: Client) -> User:
    """Someone who signed up a long time ago and never followed the link."""
    settings.UNVERIFIED_ACCOUNT_DAYS = 30
    client.post("/accounts/signup/", {"email": "never@example.com", "password1": "correct horse battery staple"})
    User.objects.update(date_joined=timezone.now() - timedelta(days=31))
    return User.objects.get(email="never@example.com")


def is_there(user: User) -> bool:
    return User.objects.filter(pk=user.pk).exists()


def test_an_account_that_was_never_verified_is_removed(forgotten, user):
    LogEntry.objects.log_actions(user.pk, [forgotten], CHANGE, "x")
    ApiKey.objects.issue(forgotten, name="never used")
    ledger.get_account(forgotten)
    tasks.sweep()
    assert not is_there(forgotten)
    assert not Account.objects.filter(user_id=forgotten.pk).exists()
    assert is_there(user), "this one is verified"
    assert not LogEntry.objects.filter(object_repr__contains="never@example.com").exists()
    # The address can be used again.
    assert User.objects.create_user("never@example.com")


def use_a_key(user: User) -> None:
    ApiKey.objects.issue(user, name="used")
    ApiKey.objects.filter(user=user).update(last_used_at=timezone.now())


def have_a_batch(user: User) -> None:
    """A row of another app, which the database protects."""
    Batch.objects.create(account=ledger.get_account(user), channel="api", request_id="r", expires_at=timezone.now())


KEPT = {
    "younger": lambda user: User.objects.filter(pk=user.pk).update(date_joined=timezone.now() - timedelta(days=29)),
    "verified": lambda user: user.verify_email(),
    "staff": lambda user: User.objects.filter(pk=user.pk).update(is_staff=True),
    "superuser": lambda user: User.objects.filter(pk=user.pk).update(is_superuser=True),
    "deleted or locked": lambda user: user.set_active(False),
    "logged in once": lambda user: User.objects.filter(pk=user.pk).update(last_login=timezone.now()),
    "used a key": use_a_key,
    "has credits": lambda user: ledger.grant_prepaid(ledger.get_account(user), 1, reference="gift"),
    "known at Stripe": lambda user: StripeCustomer.objects.create(account=ledger.get_account(user), stripe_id="cus_1"),
    "has a batch": have_a_batch,
}


@pytest.mark.parametrize("fact", KEPT.values(), ids=KEPT.keys())
def test_an_account_that_something_refers_to_stays(forgotten, fact):
    fact(forgotten)
    assert unverified.remove() == 0
    assert is_there(forgotten)


def test_one_day_removes_only_a_limited_number(forgotten, monkeypatch):
    monkeypatch.setattr(unverified, "MOST", 2)
    old = timezone.now() - timedelta(days=40)
    for number in range(4):
        User.objects.create_user(f"never-{number}@example.com", date_joined=old)
    assert [unverified.remove() for _ in range(4)] == [2, 2, 1, 0]


def test_an_address_that_is_verified_at_the_last_moment_stays(forgotten, monkeypatch):
    monkeypatch.setattr(unverified, "find", lambda: User.objects.filter(pk=forgotten.pk))
    forgotten.verify_email()
    assert unverified.remove() == 0
    assert is_there(forgotten)
