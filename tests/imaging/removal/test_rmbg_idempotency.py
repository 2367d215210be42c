"""`POST /rmbg` with an `Idempotency-Key`: a retry is charged once."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey
from billing.credits import idempotency, ledger
from billing.models import Hold, IdempotencyRecord, UsageWindow
from tests.imaging.removal.forms import form

pytestmark = pytest.mark.django_db
RETRY = "order-2231"


def post(png: bytes, key: str | None, retry: str = RETRY, **fields: str):
    headers = {"Idempotency-Key": retry} | ({"x-api-key": key} if key else {})
    return Client(headers=headers, raise_request_exception=False).post("/rmbg", **form(png, **fields))


def used() -> int:
    return UsageWindow.objects.get().used // 100


def test_a_retry_is_delivered_again_and_charged_once(quick_model, key, small_png):
    first, second = post(small_png, key), post(small_png, key)
    assert (first.status_code, first.headers["X-Credits-Charged"]) == (200, "1")
    assert (second.status_code, second.headers["X-Credits-Charged"]) == (200, "0")
    assert first.content == second.content
    assert used() == 1


def test_a_delivered_request_is_delivered_again_ten_times_and_no_more(quick_model, key, small_png):
    """Each retry does the whole work for nothing."""
    answers = [post(small_png, key) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 11 + [409]
    assert [answer.headers["X-Credits-Charged"] for answer in answers[:11]] == ["1"] + ["0"] * 10
    assert answers[-1].json()["code"] == "idempotency_key_used_up"
    assert "Send it with a new key" in answers[-1].json()["error"]
    assert used() == 1
    assert post(small_png, key, "a-new-key").headers["X-Credits-Charged"] == "1"


def test_a_retry_that_fails_does_not_use_one_up(quick_model, monkeypatch, key, small_png):
    post(small_png, key)
    with monkeypatch.context() as broken:
        broken.setattr(quick_model, "predict", lambda image: 1 / 0)
        assert [post(small_png, key).status_code for _ in range(11)] == [500] * 11
    assert IdempotencyRecord.objects.get().replays == 0
    assert post(small_png, key).status_code == 200


def test_a_key_that_was_used_up_means_nothing_after_a_day(quick_model, key, small_png):
    post(small_png, key)
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=25), replays=idempotency.MAX_REPLAYS)
    assert [post(small_png, key).headers["X-Credits-Charged"] for _ in range(2)] == ["1", "0"]


def test_the_release_before_still_writes_records(user):
    """It does not know the column `replays`: the database fills it in."""
    account = ledger.get_account(user)
    statement = (
        "INSERT INTO billing_idempotencyrecord (account_id, key, fingerprint, created_at) VALUES (%s, 'old', 'f', %s)"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [account.pk, timezone.now()])
    assert IdempotencyRecord.objects.get().replays == 0


def test_options_written_differently_are_the_same_request(quick_model, key, small_png):
    post(small_png, key, format="PNG", bg_color="red")
    assert post(small_png, key, format="png", bg_color="#F00", w="0").headers["X-Credits-Charged"] == "0"


def test_a_retry_works_after_the_last_credit(quick_model, key, small_png):
    post(small_png, key)
    UsageWindow.objects.update(allowance=1)
    assert post(small_png, key).status_code == 200
    assert post(small_png, key, "another").status_code == 429


@pytest.mark.parametrize("change", ["picture", "options"])
def test_another_request_under_the_same_key(quick_model, key, small_png, photo, change):
    post(small_png, key)
    response = post(photo, key) if change == "picture" else post(small_png, key, w="5")
    assert response.status_code == 409
    assert response.json()["code"] == "idempotency_key_reused"
    assert used() == 1


def test_a_retry_while_the_first_runs(quick_model, monkeypatch, key, small_png):
    """The model makes the second call with the same key, so that the first is certainly still running."""
    answers: list[Any] = []

    def predict(image, original=quick_model.predict):
        if not answers:
            answers.append(None)
            answers.append(post(small_png, key))
        return original(image)

    monkeypatch.setattr(quick_model, "predict", predict)
    assert post(small_png, key).status_code == 200
    second = answers[1]
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_progress")
    assert int(second.headers["Retry-After"]) > 0
    assert used() == 1


def test_after_a_failure_the_retry_is_charged(quick_model, monkeypatch, key, small_png):
    with monkeypatch.context() as broken:
        broken.setattr(quick_model, "predict", lambda image: 1 / 0)
        assert post(small_png, key).status_code == 500
    assert post(small_png, key).headers["X-Credits-Charged"] == "1"
    assert used() == 1


def test_out_of_credits_leaves_no_record(quick_model, key, small_png):
    post(small_png, key, "first")
    UsageWindow.objects.update(allowance=0)
    assert post(small_png, key).status_code == 429
    assert not IdempotencyRecord.objects.filter(key=RETRY).exists()


def test_a_key_means_nothing_after_a_day(quick_model, key, small_png, photo):
    post(small_png, key)
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert post(photo, key).headers["X-Credits-Charged"] == "1"


def test_old_records_are_forgotten(quick_model, key, small_png):
    post(small_png, key)
    assert idempotency.forget_old() == 0
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert idempotency.forget_old() == 1


def test_two_customers_may_use_the_same_key(quick_model, key, small_png, django_user_model):
    other = django_user_model.objects.create_user("other@example.com")
    other.verify_email()
    ledger.get_account(other)
    other_key = ApiKey.objects.issue(other, name="x")[1].text
    assert [post(small_png, one).headers["X-Credits-Charged"] for one in (key, other_key)] == ["1", "1"]


@pytest.mark.parametrize("retry", ["", "x" * 256, "with space"])
def test_a_key_that_is_none(quick_model, key, small_png, retry):
    response = post(small_png, key, retry)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_idempotency_key")
    assert not Hold.objects.exists()


def test_anonymous_callers_have_nothing_to_be_charged(quick_model, small_png):
    assert [post(small_png, None).headers["X-Credits-Charged"] for _ in range(2)] == ["0", "0"]
