"""`/metrics`: who may read it, and that its figures match what happened."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from billing.models import Hold, StripeEvent
from tests.imaging.removal.forms import form

pytestmark = pytest.mark.django_db


def read() -> dict[tuple[str, tuple], float]:
    """Every sample by name and labels."""
    response = Client().get("/metrics")
    assert response.status_code == 200, response.content
    return samples(response.content.decode())


def samples(text: str) -> dict[tuple[str, tuple], float]:
    found = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}


class Change:
    """What was counted between two readings."""

    def __enter__(self):
        self.before = read()
        return self

    def __exit__(self, *error: object):
        self.after = read()

    def of(self, name: str, **labels: str) -> float:
        sample = (name, tuple(sorted(labels.items())))
        return self.after.get(sample, 0) - self.before.get(sample, 0)


def cut_out(key: str, image: bytes) -> int:
    return Client().post("/rmbg", headers={"x-api-key": key}, **form(image)).status_code


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        ("", {}, 200),
        ("", {"REMOTE_ADDR": "::1"}, 200),
        ("", {"REMOTE_ADDR": "192.0.2.7"}, 404),
        ("", {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer "}, 404),
        # A proxy on this machine: the peer is local, the caller is not.
        ("", {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}, 404),
        ("", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 404),
        ("s3cret", {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer s3cret"}, 200),
        ("s3cret", {"REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": "Bearer wrong"}, 404),
        ("s3cret", {"REMOTE_ADDR": "192.0.2.7"}, 404),
    ],
)
def test_who_may_read(settings, token, headers, status):
    settings.METRICS_TOKEN = token
    assert Client().get("/metrics", **headers).status_code == status


def test_only_reading_is_allowed():
    assert Client().post("/metrics").status_code == 405


def test_an_image_is_counted_with_its_steps_and_its_credit(key, small_png, quick_model):
    with Change() as change:
        assert cut_out(key, small_png) == 200
    assert change.of("rembg_requests_total", endpoint="rmbg", status="200", code="") == 1
    assert change.of("rembg_request_seconds_count", endpoint="rmbg") == 1
    for stage in ("queue", "decode", "inference", "compose", "encode"):
        assert change.of("rembg_stage_seconds_count", stage=stage) == 1
    assert change.of("rembg_credits_total", movement="held") == 1
    assert change.of("rembg_credits_total", movement="posted") == 1
    assert change.of("rembg_credits_total", movement="voided") == 0
    assert change.of("rembg_slots_busy") == 0
    assert change.after["rembg_memory_bytes", ()] > 1e7


def test_a_failure_is_counted_by_its_code_and_voids(key, small_png, quick_model, monkeypatch):
    def fail(image):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(quick_model, "predict", fail)
    with Change() as change:
        client = Client(raise_request_exception=False)
        client.post("/rmbg", headers={"x-api-key": key}, **form(small_png))
        client.post("/rmbg", headers={"x-api-key": "wrong"}, **form(small_png))
    assert change.of("rembg_requests_total", endpoint="rmbg", status="500", code="internal_error") == 1
    assert change.of("rembg_requests_total", endpoint="rmbg", status="401", code="invalid_api_key") == 1
    assert change.of("rembg_credits_total", movement="voided") == 1
    assert change.of("rembg_credits_total", movement="posted") == 0
    assert change.of("rembg_stage_seconds_count", stage="inference") == 0


def test_probed_addresses_do_not_fill_the_memory():
    before = len(read())
    for number in range(20):
        Client().get(f"/wp-admin/{number}.php")
        Client().get(f"/docs/{number}")
    # At most a counter and a histogram for each of "other" and "pages".
    assert len(read()) - before < 50


def test_credits_on_hold_are_reported(user, key, small_png, quick_model):
    assert cut_out(key, small_png) == 200
    assert read()["rembg_credits_held", ()] == 0
    Hold.objects.update(state="held", created_at=timezone.now() - timedelta(minutes=20))
    figures = read()
    assert figures["rembg_credits_held", ()] == 1
    assert 1190 < figures["rembg_oldest_hold_seconds", ()] < 1300


def test_stripe_events_by_state():
    for number, state in enumerate(("received", "failed", "failed", "flagged", "processed")):
        StripeEvent.objects.create(stripe_id=f"evt_{number}", type="invoice.paid", status=state)
    figures = read()
    assert [figures["rembg_stripe_events", (("state", state),)] for state in ("received", "failed", "flagged")] == [1, 2, 1]


def test_model_and_parts(quick_model):
    figures = read()
    assert figures["rembg_model_info", (("engine", ""), ("name", "ellipse"), ("version", ""))] == 1
    assert figures["rembg_part_up", (("part", "model"),)] == 1
    assert figures["rembg_part_up", (("part", "database"),)] == 1


def test_every_figure_says_what_it_is(quick_model):
    text = Client().get("/metrics").content.decode()
    named = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert named
    assert named == set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))


def test_a_reading_costs_few_queries(quick_model, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        read()
