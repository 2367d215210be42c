"""`POST /rmbg` during the sweep: a running request keeps its credit, or pays with another one, or is refused."""

import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyMonth, User
from billing.credits import ledger
from billing.credits.reconciliation import reconcile
from billing.credits.running_holds import RunningHolds, running
from billing.models import Account, Hold, IdempotencyRecord, UsageWindow
from tests.imaging.removal.forms import form

pytestmark = pytest.mark.django_db
OLD = ledger.STALE_HOLD + timedelta(minutes=5)


@pytest.fixture
def account(user: User) -> Account:
    return ledger.get_account(user)


def post(png: bytes, key: str, **headers: str):
    return Client(headers={"x-api-key": key, **headers}, raise_request_exception=False).post("/rmbg", **form(png))


def grow_old() -> None:
    """Date the open holds' creation and renewal long ago."""
    Hold.objects.filter(state="held").update(created_at=timezone.now() - OLD, held_until=None)


def states() -> dict[str, int]:
    found = list(Hold.objects.values_list("state", flat=True))
    return {state: found.count(state) for state in sorted(set(found))}


def used() -> int:
    return UsageWindow.objects.get().used // 100


@pytest.fixture
def while_running(quick_model, monkeypatch):
    """Runs a callback once, while the next request is being processed."""

    def arrange(act) -> None:
        left = [act]

        def predict(image, original=quick_model.predict):
            if left:
                left.pop()()
            return original(image)

        monkeypatch.setattr(quick_model, "predict", predict)

    return arrange


def swept() -> None:
    grow_old()
    assert ledger.void_stale() == 1


# --- Renewed ------------------------------------------------------------------------------------------


def test_the_sweep_leaves_the_hold_of_a_running_request_alone(while_running, user, key, small_png):
    def renewed_and_swept() -> None:
        grow_old()
        assert running.renew(0) == 1
        assert ledger.void_stale() == 0

    while_running(renewed_and_swept)
    response = post(small_png, key)
    assert (response.status_code, response.headers["X-Credits-Charged"]) == (200, "1")
    assert (states(), used()) == ({"posted": 1}, 1)
    assert reconcile(user.account) == []


def test_without_its_process_a_renewed_hold_is_stale_within_the_same_time(account):
    process = RunningHolds()
    held = ledger.hold(account, channel="api", key=None, request_id="killed")
    with process.kept(held):
        assert process.renew(0) == 1
    assert process.renew(0) == 0, "the request is over"
    held.refresh_from_db()
    assert held.held_until is not None
    assert held.held_until <= timezone.now() + ledger.STALE_HOLD
    assert ledger.void_stale() == 0
    Hold.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    assert ledger.void_stale() == 1


def test_a_request_of_the_usual_length_costs_no_renewal(account, django_assert_num_queries):
    process = RunningHolds()
    held = [ledger.hold(account, channel="api", key=None, request_id=str(number)) for number in range(3)]
    with process.kept(held[0]), process.kept(held[1]), process.kept(held[2]):
        with django_assert_num_queries(0):
            assert process.renew() == 0
        with django_assert_num_queries(1):
            assert process.renew(0) == 3


def test_a_forked_child_does_not_renew_its_parents_holds(account):
    process = RunningHolds()
    with process.kept(ledger.hold(account, channel="api", key=None, request_id="parent")):
        process.reset()
        assert process.renew(0) == 0


def test_a_hold_that_was_renewed_after_the_sweep_had_found_it_is_not_voided(account):
    held = ledger.hold(account, channel="api", key=None, request_id="slow")
    grow_old()
    assert Hold.objects.filter(ledger.stale()).exists()
    ledger.keep_held([held.pk])
    assert not ledger.void_if_stale(held.pk)
    assert states() == {"held": 1}


# --- Voided anyway ------------------------------------------------------------------------------------


def test_a_request_whose_hold_was_voided_pays_with_another_credit(while_running, user, key, small_png):
    while_running(swept)
    response = post(small_png, key)
    assert (response.status_code, response.headers["X-Credits-Charged"]) == (200, "1")
    assert (states(), used()) == ({"posted": 1, "voided": 1}, 1)
    assert ApiKeyMonth.objects.values_list("used", "held").get() == (1, 0)
    assert reconcile(user.account) == []


@pytest.mark.parametrize("limit", ["account", "key"])
def test_without_another_credit_the_answer_is_a_503_and_no_image(while_running, user, key, small_png, limit):
    ledger.hold(ledger.get_account(user), channel="app", key=None, request_id="other")
    if limit == "key":
        ApiKey.objects.update(monthly_credit_cap=1)

    def voided_and_spent() -> None:
        ledger.void(Hold.objects.get(channel="api"))
        if limit == "key":
            ledger.post(ledger.hold(user.account, channel="api", key=ApiKey.objects.get(), request_id="quicker"))
        else:
            UsageWindow.objects.update(allowance=1)

    while_running(voided_and_spent)
    before = used()
    response = post(small_png, key)
    assert (response.status_code, response.json()["code"]) == (503, "hold_expired")
    assert int(response.headers["Retry-After"]) > 0
    assert "X-Credits-Charged" not in response.headers
    assert used() == before + (limit == "key")
    assert not Hold.objects.filter(channel="api", state="held").exists()


def test_an_account_that_was_closed_meanwhile_gets_no_free_image(while_running, user, key, small_png):
    def closed() -> None:
        swept()
        User.objects.update(is_active=False)
        UsageWindow.objects.update(allowance=0)

    while_running(closed)
    assert post(small_png, key).status_code == 503
    assert used() == 0


# --- With an Idempotency-Key --------------------------------------------------------------------------


def test_the_retry_key_follows_the_new_hold(while_running, key, small_png):
    while_running(swept)
    retry = {"Idempotency-Key": str(uuid.uuid4())}
    assert post(small_png, key, **retry).headers["X-Credits-Charged"] == "1"
    record = IdempotencyRecord.objects.get()
    assert record.hold is not None
    assert record.hold.state == "posted"
    assert post(small_png, key, **retry).headers["X-Credits-Charged"] == "0"
    assert used() == 1


def test_a_retry_that_has_taken_over_pays_and_the_first_try_is_refused(while_running, key, small_png):
    retry = {"Idempotency-Key": str(uuid.uuid4())}
    answers = []

    def voided_and_retried() -> None:
        swept()
        answers.append(post(small_png, key, **retry))

    while_running(voided_and_retried)
    first = post(small_png, key, **retry)
    assert answers[0].headers["X-Credits-Charged"] == "1"
    assert (first.status_code, first.json()["code"]) == (503, "hold_expired")
    assert (states(), used()) == ({"posted": 1, "voided": 1}, 1)
