"""`POST /rmbg`: images that fail during processing are counted, and callers who have gone get no work."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from billing.models import AnonymousUsage, Hold, Plan
from imaging.core.problems import CallerGone
from imaging.executor import gate, runtime
from imaging.executor.gate import Gate
from lib.ops import redis_client
from lib.web import rate_limits
from tests.imaging.batches.forms import post as post_batch
from tests.imaging.batches.forms import the_batch, work_through
from tests.imaging.executor.fake_broker import broken_png
from tests.imaging.removal.forms import form

pytestmark = pytest.mark.django_db

ANONYMOUS, FREE = 5, 60


def post(picture: bytes, key: str | None = None, **environ: Any):
    headers = {"x-api-key": key} if key else {}
    return Client(headers=headers, raise_request_exception=False).post("/rmbg", **form(picture), **environ)


def gone_when(is_gone: Callable[[], bool]) -> dict[str, Any]:
    """What waitress reports about the connection."""
    return {"waitress.client_disconnected": is_gone}


def codes(answers: list) -> list[str]:
    return ["ok" if answer.status_code == 200 else answer.json()["code"] for answer in answers]


@pytest.fixture
def at_any_rate(settings, user) -> None:
    """Requests per minute are not the subject of these tests; the allowance of failures stays the plan's."""
    settings.ANONYMOUS_REQUESTS_PER_MINUTE = 10_000


@pytest.fixture
def work_count(monkeypatch) -> list[int]:
    """The number of images begun."""
    begun: list[int] = []
    execute = runtime.execute

    def counted(*args, **options):
        begun.append(1)
        return execute(*args, **options)

    monkeypatch.setattr(runtime, "execute", counted)
    return begun


def test_an_address_may_send_five_broken_images_in_ten_minutes(quick_model, at_any_rate, work_count, small_png):
    answers = [post(broken_png()) for _ in range(ANONYMOUS + 2)]
    assert codes(answers) == ["invalid_image"] * ANONYMOUS + ["rate_limited"] * 2
    assert answers[-1].json()["error"] == "You're making requests too quickly, Please Upgrade or slow down."
    assert 590 <= int(answers[-1].headers["Retry-After"]) <= 600
    assert len(work_count) == ANONYMOUS
    # A good one is not admitted either: it cannot be recognised before the work.
    assert codes([post(small_png)]) == ["rate_limited"]
    assert not AnonymousUsage.objects.filter(used__gt=0).exists()


def test_another_address_and_a_key_are_not_concerned(quick_model, at_any_rate, key, small_png):
    for _ in range(ANONYMOUS):
        post(broken_png())
    assert codes([post(small_png, REMOTE_ADDR="192.0.2.7"), post(small_png, key)]) == ["ok", "ok"]


def test_a_key_may_send_as_many_as_its_plan_lets_it(quick_model, user, key, work_count, small_png, monkeypatch):
    monkeypatch.setattr(rate_limits, "count_request", lambda policy: None)
    answers = [post(broken_png(), key) for _ in range(FREE + 1)]
    assert codes(answers) == ["invalid_image"] * FREE + ["rate_limited"]
    assert len(work_count) == FREE
    # A larger plan, a larger allowance.
    Plan.objects.filter(accounts__user=user).update(requests_per_minute=40)
    assert codes([post(broken_png(), key)]) == ["invalid_image"]
    assert not Hold.objects.exclude(state=Hold.State.VOIDED).exists()


def test_what_is_refused_without_work_is_not_counted(quick_model, at_any_rate, small_png):
    for picture in (b"no image at all", b"", small_png[:20]):
        for _ in range(ANONYMOUS):
            assert post(picture).status_code == 400
    assert codes([post(small_png)]) == ["ok"]


def test_what_fails_through_us_is_not_counted(quick_model, at_any_rate, monkeypatch, small_png):
    with monkeypatch.context() as broken:
        broken.setattr(quick_model, "predict", lambda image: 1 / 0)
        for _ in range(ANONYMOUS + 1):
            assert post(small_png).status_code == 500
    assert codes([post(small_png)]) == ["ok"]


def test_without_limits_nothing_is_counted(quick_model, settings):
    settings.RATE_LIMIT_ENABLED = False
    assert codes([post(broken_png()) for _ in range(ANONYMOUS + 1)]) == ["invalid_image"] * (ANONYMOUS + 1)


@pytest.mark.services
def test_all_processes_share_the_count(quick_model, at_any_rate, settings, redis_url):
    settings.REDIS_URL = redis_url
    for _ in range(ANONYMOUS):
        assert codes([post(broken_png())]) == ["invalid_image"]
        rate_limits.reset()  # what another process knows
    assert codes([post(broken_png())]) == ["rate_limited"]


def test_without_redis_callers_are_let_through(quick_model, at_any_rate, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    redis_client.reset()
    assert codes([post(broken_png()) for _ in range(ANONYMOUS)]) == ["invalid_image"] * ANONYMOUS


def test_broken_images_of_batches_stop_no_request_and_no_image_but_the_next_batch(
    quick_model, key, user, small_png, pictures, monkeypatch
):
    monkeypatch.setattr(rate_limits, "BATCH_FAILURES_FACTOR", 1)
    Plan.objects.filter(accounts__user=user).update(requests_per_minute=1)
    monkeypatch.setattr(rate_limits, "count_request", lambda policy: None)
    broken = [(f"{number}.png", broken_png()) for number in range(4)]
    assert post_batch(key, *broken, ("good.png", small_png)).status_code == 202
    work_through()
    assert sorted(the_batch().items.values_list("state", flat=True)) == ["done", *["failed"] * 4]
    assert codes([post(small_png, key)]) == ["ok"]
    refused = post_batch(key, ("good.png", small_png))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) > 60


def test_broken_images_of_requests_stop_no_batch(quick_model, key, user, small_png, pictures, monkeypatch):
    Plan.objects.filter(accounts__user=user).update(requests_per_minute=1)
    monkeypatch.setattr(rate_limits, "count_request", lambda policy: None)
    assert codes([post(broken_png(), key) for _ in range(4)]) == ["invalid_image"] * 3 + ["rate_limited"]
    assert post_batch(key, ("good.png", small_png)).status_code == 202


# --- callers who have gone ---


def test_a_caller_who_goes_while_waiting_gets_no_work_and_pays_nothing(quick_model, monkeypatch, key, small_png):
    monkeypatch.setattr(gate, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(quick_model, "predict", lambda image: pytest.fail("it was worked on"))
    full = Gate(slots=1, megapixels=10, queue_size=4, seconds=60)
    monkeypatch.setattr(runtime, "get_gate", lambda: full)
    gone = iter([False, False, True])
    with full.admit(1):
        answer = post(small_png, key, **gone_when(lambda: next(gone)))
    assert (answer.status_code, answer.json()["code"]) == (499, "caller_gone")
    assert (full.waiting, full.running) == (0, 0)
    assert Hold.objects.get().state == Hold.State.VOIDED


def test_one_who_goes_later_is_counted_like_a_broken_image(quick_model, at_any_rate, monkeypatch, small_png):
    """Otherwise sending and leaving would cause unlimited free work."""

    def leave(image):
        raise CallerGone

    with monkeypatch.context() as leaving:
        leaving.setattr(quick_model, "predict", leave)
        assert codes([post(small_png) for _ in range(ANONYMOUS)]) == ["caller_gone"] * ANONYMOUS
    assert codes([post(small_png)]) == ["rate_limited"]


def test_one_who_waited_and_left_before_the_work_is_not(quick_model, at_any_rate, monkeypatch, small_png):
    monkeypatch.setattr(gate, "LOOK_SECONDS", 0.001)
    full = Gate(slots=1, megapixels=10, queue_size=4, seconds=60)
    with monkeypatch.context() as busy:
        busy.setattr(runtime, "get_gate", lambda: full)
        with full.admit(1):
            for _ in range(ANONYMOUS):
                assert post(small_png, **gone_when(lambda: True)).status_code == 499
    assert codes([post(small_png)]) == ["ok"]
