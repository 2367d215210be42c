"""Request records: written in batches in the background, bounded, and never delaying a call."""

import os
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from accounts.deletion import delete_account
from accounts.models import ApiKey
from billing import tasks
from billing.dashboard import request_log
from billing.dashboard.request_log import RequestLog
from billing.models import RequestRecord
from tests.imaging.removal.forms import form
from tests.sessions import token_of

pytestmark = pytest.mark.django_db


def call(png: bytes | None, **headers: str):
    return Client(headers=headers, raise_request_exception=False).post("/rmbg", **form(png))


def written() -> RequestRecord:
    """The only record."""
    request_log.log.flush()
    return RequestRecord.objects.get()


def facts(number: int = 1) -> dict:
    return {"channel": "api", "request_id": f"request-{number}", "status": 200, "duration_ms": 5}


def ids() -> list[str]:
    return list(RequestRecord.objects.order_by("id").values_list("request_id", flat=True))


def test_an_image_by_key(quick_model, user, key, small_png):
    response = call(small_png, **{"x-api-key": key, "X-Request-Id": "my-own-request-id"})
    assert response.status_code == 200
    record = written()
    assert (record.account, record.key) == (user.account, ApiKey.objects.get())
    assert (record.channel, record.request_id) == ("api", "my-own-request-id")
    assert (record.status, record.code, record.credits, record.model) == (200, "", 1, "ellipse")
    assert 0 < record.duration_ms < 60_000


def test_an_image_of_the_web_app(quick_model, user, small_png):
    call(small_png, Authorization=f"Bearer {token_of(user)}")
    record = written()
    assert (record.account, record.key, record.channel, record.credits) == (user.account, None, "app", 1)


def test_an_anonymous_image(quick_model, small_png):
    call(small_png)
    record = written()
    assert (record.account, record.key, record.channel, record.status, record.credits) == (None, None, "anonymous", 200, 0)


def test_a_refused_form(key):
    call(None, **{"x-api-key": key})
    record = written()
    assert (record.status, record.code, record.credits, record.model) == (400, "missing_image", 0, "")
    assert record.key == ApiKey.objects.get()


@pytest.mark.parametrize(
    ("headers", "channel", "status", "code"),
    [
        ({"x-api-key": "rb_nonsense"}, "api", 401, "invalid_api_key"),
        ({"Authorization": "Bearer nonsense"}, "app", 401, "invalid_api_key"),
        ({"x-api-key": "rb_nonsense", "Authorization": "Bearer x"}, "api", 400, "two_credentials"),
    ],
)
def test_a_caller_who_is_not_identified(small_png, headers, channel, status, code):
    call(small_png, **headers)
    record = written()
    assert (record.account, record.key) == (None, None)
    assert (record.channel, record.status, record.code) == (channel, status, code)


def test_a_crash(quick_model, monkeypatch, key, small_png):
    monkeypatch.setattr(quick_model, "predict", lambda image: 1 / 0)
    assert call(small_png, **{"x-api-key": key}).status_code == 500
    record = written()
    assert (record.status, record.code, record.credits) == (500, "internal_error", 0)


def test_a_credit_that_could_not_be_posted_is_not_shown_as_charged(quick_model, monkeypatch, key, small_png):
    def fail(held):
        raise OperationalError("gone")

    monkeypatch.setattr("billing.credits.ledger.post", fail)
    refused = call(small_png, **{"x-api-key": key})
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    assert "X-Credits-Charged" not in refused
    assert written().credits == 0


def test_only_calls_are_recorded(key):
    Client().get("/rmbg")
    Client().options("/rmbg")
    assert len(request_log.log) == 0


def test_a_record_that_cannot_be_made_does_not_fail_the_call(quick_model, monkeypatch, key, small_png, caplog):
    monkeypatch.setattr(request_log, "RequestRecord", None)
    assert call(small_png, **{"x-api-key": key}).status_code == 200
    assert "a request record was lost" in caplog.text


def test_batches_keep_the_order():
    for number in range(450):
        request_log.log.add(**facts(number))
    assert request_log.log.flush()
    assert ids() == [f"request-{number}" for number in range(450)]
    assert len(request_log.log) == 0


def test_a_database_outage_loses_nothing(monkeypatch):
    for number in range(3):
        request_log.log.add(**facts(number))
    with monkeypatch.context() as outage:
        outage.setattr("django.db.models.query.QuerySet.bulk_create", _raise(OperationalError("gone")))
        assert not request_log.log.flush()
    request_log.log.add(**facts(3))
    assert request_log.log.flush()
    assert ids() == [f"request-{number}" for number in range(4)]


def test_a_full_buffer_drops_the_oldest_and_says_so_once(caplog):
    log = RequestLog(capacity=3)
    for number in range(6):
        log.add(**facts(number))
    assert log.flush()
    assert ids() == ["request-3", "request-4", "request-5"]
    assert caplog.text.count("request records are being dropped") == 1


def test_an_outage_with_a_full_buffer_keeps_the_newest(monkeypatch):
    log = RequestLog(capacity=3)
    for number in range(3):
        log.add(**facts(number))

    def fail(self, batch):
        log.add(**facts(3))
        raise OperationalError("gone")

    with monkeypatch.context() as outage:
        outage.setattr("django.db.models.query.QuerySet.bulk_create", fail)
        assert not log.flush()
    log.flush()
    assert ids() == ["request-1", "request-2", "request-3"]


def test_a_record_that_the_database_refuses_does_not_hold_up_the_others(monkeypatch, caplog):
    create = QuerySet.bulk_create

    def refuse(self, batch):
        if any(record.request_id == "request-1" for record in batch):
            raise IntegrityError("no such key")
        return create(self, batch)

    monkeypatch.setattr(QuerySet, "bulk_create", refuse)
    for number in range(3):
        request_log.log.add(**facts(number))
    assert request_log.log.flush()
    assert ids() == ["request-0", "request-2"]
    assert "a request record was refused" in caplog.text


def test_stopping_writes_what_is_left(monkeypatch):
    monkeypatch.setattr(request_log, "INTERVAL_SECONDS", 60)
    log = RequestLog()
    written: list[str] = []
    monkeypatch.setattr(log, "_write", lambda batch: written.extend(record.request_id for record in batch))
    log.start()
    log.start()
    log.add(**facts())
    log.stop()
    log.stop()
    assert written == ["request-1"]


def test_a_full_batch_is_written_at_once(monkeypatch):
    monkeypatch.setattr(request_log, "INTERVAL_SECONDS", 60)
    log, written = RequestLog(), _Counter()
    monkeypatch.setattr(log, "_write", written.add)
    log.start()
    for number in range(request_log.BATCH):
        log.add(**facts(number))
    assert written.reached.wait(10)
    log.stop()
    assert written.count == request_log.BATCH


def test_a_forked_child_leaves_the_records_to_its_parent():
    log = request_log.log
    log.add(**facts())
    if (child := os.fork()) == 0:
        os._exit(len(log))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(log) == 1


def test_old_records_are_removed_by_the_sweep(monkeypatch, settings):
    monkeypatch.setattr(request_log, "PURGE_BATCH", 2)
    settings.REQUEST_LOG_DAYS = 30
    for age in (0, 29, 31, 32, 33):
        RequestRecord.objects.create(**facts(age), created_at=timezone.now() - timedelta(days=age))
    tasks.sweep()
    assert ids() == ["request-0", "request-29"]


def test_one_sweep_removes_only_a_limited_number(monkeypatch, settings):
    monkeypatch.setattr(request_log, "PURGE_BATCH", 2)
    monkeypatch.setattr(request_log, "PURGE_ROUNDS", 1)
    for age in (91, 92, 93):
        RequestRecord.objects.create(**facts(age), created_at=timezone.now() - timedelta(days=age))
    tasks.sweep()
    assert ids() == ["request-91"]


def test_deleting_an_account_removes_its_records(user, django_capture_on_commit_callbacks):
    RequestRecord.objects.create(**facts(1), account=user.account)
    RequestRecord.objects.create(**facts(2))
    with django_capture_on_commit_callbacks(execute=True):
        delete_account(user)
    assert ids() == ["request-2"]


class _Counter:
    def __init__(self) -> None:
        self.count = 0
        self.reached = threading.Event()

    def add(self, batch: list[RequestRecord]) -> None:
        self.count += len(batch)
        if self.count == request_log.BATCH:
            self.reached.set()


def _raise(error: Exception):
    def fail(*args, **kwargs):
        raise error

    return fail


def count_written() -> int:
    request_log.log.flush()
    return RequestRecord.objects.count()


@pytest.mark.parametrize("headers", [{"x-api-key": "nonsense"}, {"Authorization": "Bearer nonsense"}])
def test_a_flood_of_unknown_callers_leaves_few_records(headers):
    assert {call(None, **headers).status_code for _ in range(200)} == {401, 429}
    # One record of each answer; a minute may end meanwhile.
    assert 1 <= count_written() <= 4


def test_a_flood_of_anonymous_calls_leaves_few_records(quick_model, small_png):
    answers = [call(small_png).status_code for _ in range(100)]
    assert (answers.count(200), answers.count(429)) == (5, 95)
    # The images, and one record of each of the two refusals; a minute may end meanwhile.
    assert 7 <= count_written() <= 9


def test_a_customer_sees_each_refusal_but_only_one_a_minute_of_the_rate_limit(quick_model, user, key, small_png):
    per_minute = user.account.plan.requests_per_minute
    answers = [call(None, **{"x-api-key": key}).status_code for _ in range(per_minute + 50)]
    assert (answers.count(400), answers.count(429)) == (per_minute, 50)
    assert per_minute + 1 <= count_written() <= per_minute + 2
    assert RequestRecord.objects.filter(account=user.account, code="rate_limited").exists()


def test_the_next_minute_leaves_a_record_again(monkeypatch):
    for minute in range(3):
        monkeypatch.setattr("billing.dashboard.request_log.time.monotonic", lambda minute=minute: 1000.0 + 60 * minute)
        for number in range(5):
            request_log.log.add(**facts(number) | {"status": 401, "code": "invalid_api_key"})
    assert count_written() == 3


def test_our_failures_for_unknown_callers_are_kept_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("billing.dashboard.request_log.time.monotonic", lambda: 1000.0)
    for number in range(100):
        request_log.log.add(**facts(number) | {"status": 500, "code": "internal_error"})
    assert count_written() == request_log.FAILED_PER_MINUTE


def test_the_kinds_that_are_distinguished_are_bounded(monkeypatch):
    monkeypatch.setattr(request_log, "KINDS", 10)
    monkeypatch.setattr("billing.dashboard.request_log.time.monotonic", lambda: 1000.0)
    for number in range(100):
        request_log.log.add(**facts(number) | {"status": 400, "code": f"code_{number}"})
    assert count_written() == 10
