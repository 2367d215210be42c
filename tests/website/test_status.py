"""`/status` and `/status.json`: the state of the service, public, without load on the database."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from billing.dashboard import request_log
from billing.models import RequestRecord
from imaging.executor import runtime
from imaging.executor.gate import Gate
from lib.ops import health
from website import status

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_figures() -> Iterator[None]:
    status.forget_figures()
    yield
    status.forget_figures()


def calls(count: int, code: int = 200, *, ago: timedelta = timedelta(), duration: int = 100, inference: int = 60) -> None:
    RequestRecord.objects.bulk_create(
        RequestRecord(
            channel="api", request_id=f"request-{number}", status=code, duration_ms=duration + number,
            inference_ms=inference, created_at=timezone.now() - ago,
        )
        for number in range(count)
    )  # fmt: skip


def told() -> dict:
    response = Client().get("/status.json")
    assert response.status_code == 200
    return response.json()


def page() -> str:
    response = Client().get("/status")
    assert response.status_code == 200
    return response.content.decode()


def test_everything_works(quick_model):
    calls(30)
    assert told()["status"] == "works"
    assert "All systems work" in page()


def test_a_new_deployment_has_no_figures_and_works(quick_model):
    facts = told()
    assert facts["status"] == "works"
    assert facts["last_24_hours"] == {
        "calls": 0, "delivered": 0, "failed": 0, "duration_p50": None, "duration_p95": None, "inference_p50": None,
        "inference_p95": None, "success": None,
    }  # fmt: skip
    assert "None" not in page()


def test_latency_and_success(quick_model):
    calls(100, duration=1)
    calls(25, 500)
    calls(50, 400)
    facts = told()["last_24_hours"]
    assert (facts["duration_p50"], facts["duration_p95"]) == (50, 95)
    assert (facts["inference_p50"], facts["inference_p95"]) == (60, 60)
    assert (facts["calls"], facts["delivered"], facts["failed"], facts["success"]) == (175, 100, 25, 0.8)
    assert "80.0 %" in page()


@pytest.mark.parametrize(("values", "share", "expected"), [([], 0.5, None), ([7], 0.95, 7), ([1, 2, 3, 4], 0.5, 2)])
def test_percentiles_are_of_the_nearest_rank(values, share, expected):
    assert status.percentile(values, share) == expected


def test_yesterday_counts_in_the_last_24_hours_and_not_in_today(quick_model, monkeypatch):
    now = timezone.now().replace(hour=6)
    monkeypatch.setattr("website.status.timezone.now", lambda: now)
    for hours in (1, 8, 25):
        RequestRecord.objects.create(
            channel="api", request_id="request", status=200, duration_ms=5, created_at=now - timedelta(hours=hours)
        )
    facts = told()
    assert (facts["today"]["calls"], facts["last_24_hours"]["calls"]) == (1, 2)


def test_our_failures_are_a_degradation_and_refusals_are_not(quick_model):
    calls(40)
    calls(100, 429)
    assert told()["status"] == "works"
    status.forget_figures()
    calls(3, 503)
    assert told()["status"] == "degraded"
    assert "degraded" in page()


def test_an_outage_in_the_morning_is_over_in_the_evening(quick_model):
    calls(50, 500, ago=timedelta(hours=5))
    assert told()["status"] == "works"


def test_few_failures_among_few_calls_are_no_degradation(quick_model):
    calls(3)
    calls(2, 500)
    assert told()["status"] == "works"


def test_without_a_model_it_is_down(monkeypatch):
    monkeypatch.setattr(runtime, "_model", None)
    facts = told()
    assert facts["status"] == "down"
    assert facts["model"]["loaded"] is False
    assert "not available" in page()
    assert "Not loaded" in page()


def test_without_a_database_it_is_down_and_says_so(quick_model, monkeypatch):
    monkeypatch.setattr(health, "_database_answers", lambda: False)
    monkeypatch.setattr(RequestRecord.objects, "filter", lambda **conditions: pytest.fail("the database was asked"))
    assert told()["status"] == "down"
    assert "Not reachable" in page()


def test_figures_that_cannot_be_read_are_left_out(quick_model, monkeypatch):
    def fail(**conditions):
        raise DatabaseError("too slow")

    monkeypatch.setattr(RequestRecord.objects, "filter", fail)
    assert told()["last_24_hours"]["calls"] == 0


def test_an_unreachable_cache_is_a_degradation(quick_model, monkeypatch):
    class Away:
        def ping(self):
            raise redis.ConnectionError

    monkeypatch.setattr(health, "get_redis", Away)
    facts = told()
    assert (facts["status"], facts["parts"]["cache"]) == ("degraded", False)
    assert "Shared cache" in page()


def test_the_queue_of_this_process(quick_model, monkeypatch):
    gate = Gate(slots=3, megapixels=10, queue_size=5, seconds=1)
    monkeypatch.setattr(runtime, "get_gate", lambda: gate)
    with gate.admit(1), gate.admit(1):
        assert told()["queue"] == {"busy": 2, "slots": 3, "waiting": 0, "size": 5}
    assert told()["queue"]["busy"] == 0


def test_the_model_by_name_and_version(quick_model, monkeypatch):
    assert told()["model"] == {"name": "ellipse", "version": "", "loaded": True}
    for name in ("u2net", "u2net-int8"):
        monkeypatch.setattr(quick_model, "name", name)
        assert told()["model"] == {"name": name, "version": "8d10d2f3bb75", "loaded": True}
    monkeypatch.setattr(quick_model, "name", "u2net@8d10d2f3bb75; engine=mnn-fp32")
    assert told()["model"] == {"name": "u2net", "version": "8d10d2f3bb75", "loaded": True}


def test_visitors_share_one_query_of_the_figures(quick_model, django_assert_num_queries):
    calls(3)
    assert told()["last_24_hours"]["calls"] == 3
    calls(3)
    with django_assert_num_queries(1):  # whether it answers at all
        assert told()["last_24_hours"]["calls"] == 3
    status.forget_figures()
    assert told()["last_24_hours"]["calls"] == 6


def test_figures_are_renewed_after_half_a_minute(quick_model, monkeypatch):
    calls(3)
    told()
    calls(3)
    later = time.monotonic() + status.CACHE_SECONDS
    monkeypatch.setattr("website.status.time.monotonic", lambda: later)
    assert told()["last_24_hours"]["calls"] == 6


def test_only_the_newest_calls_are_read(quick_model, monkeypatch):
    monkeypatch.setattr(status, "SAMPLE", 5)
    calls(20)
    assert told()["last_24_hours"]["calls"] == 5


def test_a_flood_of_refused_calls_hides_nothing(quick_model, monkeypatch):
    monkeypatch.setattr(status, "SAMPLE", 20)
    calls(10)
    calls(10, 503)
    calls(500, 401)
    facts = told()
    assert (facts["status"], facts["last_hour"]["delivered"], facts["last_hour"]["failed"]) == ("degraded", 10, 10)


def test_a_flood_of_wrong_calls_does_not_change_the_status(quick_model, client):
    calls(10)
    for _ in range(50):
        client.post("/rmbg", headers={"x-api-key": "nonsense"})
        client.post("/rmbg", b"no form", content_type="multipart/form-data; boundary=x")
        client.post("/rmbg", b"{}", content_type="application/json")
    request_log.log.flush()
    status.forget_figures()
    facts = told()
    assert (facts["status"], facts["last_hour"]["delivered"], facts["last_hour"]["failed"]) == ("works", 10, 0)


def test_who_may_cache_it_and_for_how_long(quick_model, client, user):
    assert Client().get("/status.json").headers["Cache-Control"] == "public, max-age=30"
    assert Client().get("/status").headers["Cache-Control"] == "private, max-age=30"
    client.force_login(user)
    assert "no-store" in client.get("/status").headers["Cache-Control"]


def test_nothing_of_a_customer_is_shown(quick_model, user):
    RequestRecord.objects.create(account=user.account, channel="api", request_id="secret-request", status=200, duration_ms=5)
    for text in (page(), Client().get("/status.json").content.decode()):
        assert "secret-request" not in text
        assert user.public_id not in text


def test_it_only_reads():
    assert Client().post("/status").status_code == 405
    assert Client().post("/status.json").status_code == 405
