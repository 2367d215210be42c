"""Uploads in progress while their account is deleted or locked, or their key ends: refused, without a trace."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.deletion import delete_account
from accounts.models import ApiKey, ApiKeyMonth, User
from billing.dashboard import request_log
from billing.models import Hold, IdempotencyRecord, LedgerEntry, RequestRecord, UsageWindow
from imaging.callbacks import delivery
from imaging.callbacks.secrets import get_secret
from imaging.executor import runtime
from imaging.models import Batch, BatchItem, Callback, CallbackSecret
from tests.conftest import EllipseMatte
from tests.imaging.batches.forms import batch_form, post
from tests.imaging.callbacks.receiver import OK, ended_batch, receiver, url_of
from tests.imaging.removal.forms import form
from tests.imaging.removal.test_upload import Stream
from tests.sessions import token_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_model")]
__all__ = ["receiver"]


def expire(user: User) -> None:
    ApiKey.objects.filter(user=user).update(expires_at=timezone.now() - timedelta(seconds=1))


class Body(Stream):
    """The WSGI signature."""

    readline = Stream.read


ENDS: dict[str, Callable[[User], Any]] = {
    "deleted": delete_account,
    "locked": lambda user: user.set_active(False),
    "revoked": lambda user: ApiKey.objects.get(user=user).revoke(),
    "rotated": lambda user: ApiKey.objects.get(user=user).rotate(timedelta(0)),
    "expired": expire,
}


def send_slowly(path: str, sent: dict[str, Any], meanwhile: Callable[[], Any], **headers: str) -> Any:
    """POST a form whose second half arrives after `meanwhile`."""
    body = sent["data"]
    half = len(body) // 2

    def chunks() -> Iterator[bytes]:
        yield body[:half]
        meanwhile()
        yield body[half:]

    client = Client(headers=headers, raise_request_exception=False)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "CONTENT_TYPE": sent["content_type"]}
    return client.request(**environ, CONTENT_LENGTH=str(len(body)), **{"wsgi.input": Body(chunks())})


def assert_no_trace(answer: Any, folder: Any = None) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key"), answer.content
    assert answer.headers["WWW-Authenticate"]
    for model in (Batch, BatchItem, Hold, Callback, CallbackSecret, IdempotencyRecord):
        assert not model.objects.exists(), model
    assert not LedgerEntry.objects.filter(kind="hold").exists()
    assert not ApiKeyMonth.objects.exclude(held=0).exists()
    assert not UsageWindow.objects.exclude(held=0).exists()
    assert folder is None or not [path for path in folder.rglob("*") if path.is_file()]
    request_log.log.flush()
    assert not RequestRecord.objects.exclude(account=None, key=None).exists()


@pytest.mark.parametrize("end", ENDS)
def test_a_batch(end, user, key, small_png, pictures):
    sent = batch_form(("secret name.png", small_png), ("b.png", b"bad"), callback_url="https://example.com/hook")
    headers = {"x-api-key": key, "Idempotency-Key": "order-1"}
    assert_no_trace(send_slowly("/api/batches", sent, lambda: ENDS[end](user), **headers), pictures)


@pytest.mark.parametrize("end", ENDS)
def test_a_batch_that_costs_nothing(end, user, key, pictures):
    sent = batch_form(urls=("nonsense",), callback_url="https://example.com/hook")
    assert_no_trace(send_slowly("/api/batches", sent, lambda: ENDS[end](user), **{"x-api-key": key}), pictures)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("retry", [False, True])
def test_an_image(end, retry, user, key, small_png):
    headers = {"x-api-key": key} | ({"Idempotency-Key": "order-1"} if retry else {})
    assert_no_trace(send_slowly("/rmbg", form(small_png), lambda: ENDS[end](user), **headers))


@pytest.mark.parametrize("end", ["deleted", "locked"])
@pytest.mark.parametrize("path", ["/rmbg", "/api/batches"])
def test_an_upload_of_the_web_app(end, path, user, small_png, pictures):
    sent = form(small_png) if path == "/rmbg" else batch_form(("a.png", small_png))
    token = token_of(user)
    answer = send_slowly(path, sent, lambda: ENDS[end](user), authorization=f"Bearer {token}")
    assert_no_trace(answer, pictures)


def test_the_retry_of_an_image_that_was_delivered(user, key, small_png):
    headers = {"x-api-key": key, "Idempotency-Key": "order-1"}
    assert Client(headers=headers).post("/rmbg", **form(small_png)).status_code == 200
    answer = send_slowly("/rmbg", form(small_png), lambda: ENDS["locked"](user), **headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")


def test_the_retry_of_a_batch_that_was_made(user, key, small_png, pictures):
    assert post(key, ("a.png", small_png), retry="order-1").status_code == 202
    headers = {"x-api-key": key, "Idempotency-Key": "order-1"}
    answer = send_slowly("/api/batches", batch_form(("a.png", small_png)), lambda: ENDS["locked"](user), **headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
    assert Batch.objects.count() == 1


def test_a_key_that_ends_while_the_batch_is_being_stored(user, key, small_png, pictures, monkeypatch):
    """After the first check, and before the one that counts."""
    monkeypatch.setattr("imaging.batches.creation._store", lambda batch, form: ENDS["deleted"](user))
    assert_no_trace(post(key, ("a.png", small_png), callback_url="https://example.com/hook"), pictures)


def test_an_image_that_is_worked_on_is_charged_and_leaves_no_record(
    user, key, small_png, monkeypatch, django_capture_on_commit_callbacks
):
    class Slow(EllipseMatte):
        def predict(self, image):
            with django_capture_on_commit_callbacks(execute=True):
                delete_account(user)
            return super().predict(image)

    monkeypatch.setattr(runtime, "_model", Slow())
    answer = Client(headers={"x-api-key": key}).post("/rmbg", **form(small_png))
    assert (answer.status_code, answer.headers["X-Credits-Charged"]) == (200, "1")
    assert Hold.objects.get().state == "posted"
    request_log.log.flush()
    assert not RequestRecord.objects.exists()


def test_a_call_that_is_recorded_after_a_deletion_of_another_customer_stays(user, key, small_png, outsider):
    delete_account(User.objects.get(email="other@example.com"))
    Client(headers={"x-api-key": key}).post("/rmbg", **form(small_png))
    request_log.log.flush()
    assert RequestRecord.objects.get().account == user.account


def test_a_callback_under_way_makes_no_secret_for_a_deleted_account(user, receiver, monkeypatch):
    host = receiver(lambda path: [OK])
    ended_batch(user, url_of(host))
    lease = delivery._lease

    def delete_meanwhile(pk):
        leased = lease(pk)
        delete_account(user)
        return leased

    monkeypatch.setattr(delivery, "_lease", delete_meanwhile)
    assert delivery.try_once(Callback.objects.get().pk)
    assert not CallbackSecret.objects.exists()
    assert host.requests == []
    assert Callback.objects.get().state == "failed"


def test_a_locked_account_keeps_what_was_under_way(user, key, receiver):
    """Locking denies access; nothing is lost."""
    host = receiver(lambda path: [OK])
    ended_batch(user, url_of(host))
    user.set_active(False)
    assert delivery.try_once(Callback.objects.get().pk)
    assert len(host.requests) == 1
    assert get_secret(user.account)
