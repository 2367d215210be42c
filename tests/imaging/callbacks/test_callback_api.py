"""Callbacks in the batches API: their address, their history, one more try, and the thread that tries without a broker."""

import threading

import pytest
from django.test import Client

from accounts.models import ApiKey, User
from billing.models import Hold
from imaging.callbacks import announcing, delivery
from imaging.callbacks.runner import CallbackRunner
from imaging.models import Batch, Callback
from tests.hosts import Host
from tests.imaging.batches.forms import post, work_through
from tests.imaging.callbacks.receiver import BROKEN, OK, ended_batch, receiver, url_of
from tests.sessions import token_of

pytestmark = pytest.mark.django_db
__all__ = ["receiver"]


def retry(batch: Batch, **headers: str):
    return Client(headers=headers).post(f"/api/batches/{batch.pk}/callback/retry")


@pytest.fixture
def tried(user, receiver) -> tuple[Batch, Host]:
    """A batch whose callback was tried once and failed, and its receiver."""
    host = receiver(lambda path: [BROKEN])
    batch = ended_batch(user, url_of(host), done=1)
    delivery.try_due(1)
    return batch, host


def test_a_batch_tells_its_address_once_it_has_ended(quick_model, pictures, key, small_png, receiver):
    host = receiver(lambda path: [OK])
    made = post(key, ("a.png", small_png), ("b.png", b"no picture"), callback_url=url_of(host)).json()
    assert (made["callback_url"], made["callback"]) == (url_of(host), None)
    work_through()
    assert (delivery.try_due(5), delivery.try_due(5)) == (1, 0)
    callback = Client(headers={"x-api-key": key}).get(f"/api/batches/{made['id']}").json()["callback"]
    [attempt] = callback.pop("attempts")
    assert callback == {"id": str(Callback.objects.get().pk), "state": "delivered", "tries": 1, "next_try_at": None}
    assert {name: attempt[name] for name in ("number", "status", "error")} == {"number": 1, "status": 200, "error": None}
    assert len(host.requests) == 1


def test_a_cancelled_batch_is_reported_too(quick_model, pictures, key, small_png, receiver):
    host = receiver(lambda path: [OK])
    made = post(key, ("a.png", small_png), callback_url=url_of(host)).json()
    for _ in range(2):
        Client(headers={"x-api-key": key}).post(f"/api/batches/{made['id']}/cancel")
    assert (delivery.try_due(5), delivery.try_due(5)) == (1, 0)
    assert b'"batch.cancelled"' in host.bodies[0]


@pytest.mark.parametrize(
    ("url", "code"),
    [("ftp://example.com", "callback_url_invalid"), ("http://169.254.169.254/", "callback_url_forbidden"),
     ("https://example.com:25/", "callback_url_forbidden"), ("https://10.0.0.1/", "callback_url_forbidden")],
)  # fmt: skip
def test_an_address_that_may_not_be_called_makes_no_batch(quick_model, pictures, key, small_png, url, code):
    answer = post(key, ("a.png", small_png), callback_url=url)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Batch.objects.exists()
    assert not Hold.objects.exists()


def test_one_more_try(tried, key):
    batch, host = tried
    answer = retry(batch, **{"x-api-key": key})
    assert (answer.status_code, answer.json()["state"], answer.json()["tries"]) == (202, "pending", 1)
    assert "RateLimit" in answer.headers
    host.reply = lambda path: [OK]
    assert delivery.try_due(1) == 1
    callback = Client(headers={"x-api-key": key}).get(f"/api/batches/{batch.pk}?items=0").json()["callback"]
    assert [attempt["status"] for attempt in callback["attempts"]] == [500, 200]
    assert (callback["state"], callback["next_try_at"]) == ("delivered", None)


def test_a_user_token_will_do(tried, user):
    assert retry(tried[0], Authorization=f"Bearer {token_of(user)}").status_code == 202


def test_why_a_server_did_not_answer(user, receiver, key):
    host = receiver(lambda path: [OK])
    host.stop()
    batch = ended_batch(user, url_of(host))
    delivery.try_due(1)
    callback = Client(headers={"x-api-key": key}).get(f"/api/batches/{batch.pk}").json()["callback"]
    assert callback["attempts"][0]["error"] == delivery.UNREACHABLE
    assert callback["attempts"][0]["status"] is None
    assert callback["state"] == "pending"
    assert callback["next_try_at"] is not None


def test_without_a_callback(user, key):
    batch = ended_batch(user, "")
    answer = retry(batch, **{"x-api-key": key})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_callback")


def test_an_erased_address_and_too_many_tries(tried, key, monkeypatch):
    batch, _ = tried
    monkeypatch.setattr(announcing, "MAX_TRIES", 1)
    assert retry(batch, **{"x-api-key": key}).json()["code"] == "callback_tries_used_up"
    Batch.objects.update(callback_url="")
    assert retry(batch, **{"x-api-key": key}).json()["code"] == "callback_gone"


def test_who_may_not(tried):
    batch, _ = tried
    before = Callback.objects.get().next_try_at
    other = User.objects.create_user("other@example.com", "correct horse battery staple")
    other.verify_email()
    outsider = ApiKey.objects.issue(other, name="outsider")[1].text
    assert retry(batch).status_code == 401
    assert retry(batch, **{"x-api-key": "rmbg_wrong"}).status_code == 401
    assert retry(batch, **{"x-api-key": outsider}).status_code == 404
    assert Callback.objects.get().next_try_at == before


def test_wrong_methods_and_too_many_requests(tried, key):
    batch, _ = tried
    client = Client(headers={"x-api-key": key})
    assert client.get(f"/api/batches/{batch.pk}/callback/retry").status_code == 405
    answers = [client.post(f"/api/batches/{batch.pk}/callback/retry") for _ in range(21)]
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "rate_limited")


def test_the_list_of_batches_costs_no_query_more_for_their_callbacks(tried, user, key, receiver, django_assert_num_queries):
    client = Client(headers={"x-api-key": key})
    client.get("/api/batches")
    ended_batch(user, "")
    with django_assert_num_queries(5):
        few = client.get("/api/batches").json()["batches"]
    for _ in range(3):
        ended_batch(user, tried[0].callback_url)
    with django_assert_num_queries(5):
        many = client.get("/api/batches").json()["batches"]
    assert [batch["callback"] is not None for batch in few] == [False, True]
    assert len(many) == 5


# --- Without a broker -----------------------------------------------------------------------------


def test_threads_of_the_web_process_try_what_is_due(monkeypatch):
    tried = threading.Semaphore(0)
    outcomes: list[int | Exception] = [0, RuntimeError("the database is away"), 1, 0]

    def try_due(limit: int) -> int:
        outcome = outcomes.pop(0) if outcomes else 0
        tried.release()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("imaging.callbacks.runner.THREADS", 1)
    monkeypatch.setattr("imaging.callbacks.runner.LOOK_SECONDS", 60)
    monkeypatch.setattr(delivery, "try_due", try_due)
    runner = CallbackRunner()
    runner.start()
    runner.start()
    assert tried.acquire(timeout=10)
    for expected in (1, 2):
        runner.wake()
        for _ in range(expected):
            assert tried.acquire(timeout=10)
    runner.stop()
    assert not any(thread.is_alive() for thread in runner._threads)
