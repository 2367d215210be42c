"""`POST /rmbg`: who may call it, what it costs, and that no error costs anything."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.models import AnonymousUsage, Hold, LedgerEntry, UsageWindow
from imaging.core.problems import ImageRefused, Problem
from imaging.executor import runtime
from imaging.executor.gate import Gate
from tests.imaging.removal.forms import form
from tests.sessions import token_of

pytestmark = pytest.mark.django_db


def post(png: bytes, key: str | None = None, token: str | None = None, **fields: str):
    headers = {}
    if key:
        headers["x-api-key"] = key
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return Client(headers=headers, raise_request_exception=False).post("/rmbg", **form(png, **fields))


def window() -> UsageWindow:
    return UsageWindow.objects.get()


def test_a_key_is_charged_as_api_usage(quick_model, key, small_png):
    assert post(small_png, key).status_code == 200
    assert (window().api_used, window().app_used, window().held) == (1, 0, 0)
    assert Hold.objects.get().state == Hold.State.POSTED


def test_a_user_token_is_charged_as_app_usage(quick_model, user, small_png):
    assert post(small_png, token=token_of(user)).status_code == 200
    assert (window().api_used, window().app_used, window().held) == (0, 1, 0)


def test_the_hold_names_key_channel_window_and_request(quick_model, user, key, small_png):
    response = post(small_png, key)
    hold = Hold.objects.get()
    assert hold.key == ApiKey.objects.get(user=user)
    assert hold.channel == "api"
    assert hold.request_id == response.headers["X-Request-Id"]
    assert [entry.kind for entry in hold.ledger.order_by("id")] == ["hold", "post"]


def test_a_wrong_option_holds_nothing(quick_model, key, small_png):
    assert post(small_png, key, w="abc").status_code == 400
    assert not Hold.objects.exists()


def test_a_picture_that_does_not_decode_is_not_charged(quick_model, key, small_png):
    assert post(small_png[:45], key).status_code == 400
    assert (window().api_used, window().held) == (0, 0)
    assert not Hold.objects.exclude(state=Hold.State.VOIDED).exists()


def test_a_crash_of_the_model_is_a_500_and_not_charged(quick_model, monkeypatch, key, small_png):
    def crash(image):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(quick_model, "predict", crash)
    response = post(small_png, key)
    assert response.status_code == 500
    assert response.json() == {
        "error": "Something went wrong on our side. You were not charged.",
        "code": "internal_error",
        "status": 500,
    }
    assert Hold.objects.get().state == Hold.State.VOIDED
    assert window().used == 0


def test_a_refusal_by_the_core_is_a_400(quick_model, monkeypatch, key, small_png):
    def refuse(image):
        raise ImageRefused(Problem("image", "invalid_image", "no"))

    monkeypatch.setattr(quick_model, "predict", refuse)
    assert post(small_png, key).status_code == 400


def test_a_full_queue_is_a_503_and_not_charged(quick_model, monkeypatch, key, small_png):
    gate = Gate(slots=1, megapixels=1, queue_size=0, seconds=1)
    monkeypatch.setattr(runtime, "get_gate", lambda: gate)
    with gate.admit(1):
        response = post(small_png, key)
    assert response.status_code == 503
    assert response.json()["code"] == "server_busy"
    assert int(response.headers["Retry-After"]) > 0
    assert Hold.objects.get().state == Hold.State.VOIDED


def test_out_of_credits(quick_model, user, key, small_png):
    post(small_png, key)
    UsageWindow.objects.update(allowance=1)
    response = post(small_png, key)
    assert response.status_code == 429
    assert response.json() == {
        "error": "You've reached your monthly limit. Consider purchasing more credits.",
        "code": "monthly_limit_reached",
        "status": 429,
    }
    assert int(response.headers["Retry-After"]) > 0


def test_prepaid_credits_are_spent_after_the_included_ones(quick_model, user, key, small_png):
    account = ledger.get_account(user)
    ledger.grant_prepaid(account, 1, reference="test")
    post(small_png, key)
    account.refresh_from_db()
    assert account.prepaid_balance == 1
    UsageWindow.objects.update(allowance=1)
    assert post(small_png, key).status_code == 200
    account.refresh_from_db()
    assert account.prepaid_balance == 0
    assert window().api_used == 1, "prepaid credits are not in the usage of the window"
    assert post(small_png, key).status_code == 429


def test_too_many_requests_a_minute(quick_model, key, small_png):
    statuses = [post(small_png, key, w="abc").status_code for _ in range(21)]
    assert statuses == [400] * 20 + [429]
    response = post(small_png, key)
    assert response.json() == {
        "error": "You're making requests too quickly, Please Upgrade or slow down.",
        "code": "rate_limited",
        "status": 429,
    }
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit"].startswith('"minute";r=0;t=')


def test_limits_can_be_switched_off_for_load_tests(quick_model, settings, key, small_png):
    settings.RATE_LIMIT_ENABLED = False
    assert {post(small_png, key, w="abc").status_code for _ in range(25)} == {400}


def test_the_daily_allowance_of_anonymous_callers(quick_model, small_png):
    assert [post(small_png).status_code for _ in range(6)] == [200] * 5 + [429]
    response = post(small_png)
    assert response.json() == {
        "error": "You've reached your daily limit. Please sign up for more access.",
        "code": "daily_limit_reached",
        "status": 429,
    }
    assert 1 <= int(response.headers["Retry-After"]) <= 86_400
    assert AnonymousUsage.objects.get().used == 5


def test_a_failure_does_not_use_the_daily_allowance(quick_model, small_png):
    assert post(small_png[:45]).status_code == 400
    assert AnonymousUsage.objects.get().used == 0
    assert not LedgerEntry.objects.exists()


def test_an_unverified_address(quick_model, user, key, small_png):
    User.objects.update(email_verified_at=None)
    for credential in ({"key": key}, {"token": token_of(user)}):
        response = post(small_png, **credential)
        assert response.status_code == 403
        assert response.json() == {
            "error": "Email address not verified – please check your inbox",
            "code": "email_not_verified",
            "status": 403,
        }


@pytest.mark.parametrize("ending", ["revoked", "expired", "deactivated"])
def test_a_credential_that_has_ended(quick_model, user, key, small_png, ending):
    if ending == "revoked":
        user.api_keys.get().revoke()
    elif ending == "expired":
        user.api_keys.update(expires_at=timezone.now())
    else:
        User.objects.update(is_active=False)
    response = post(small_png, key)
    assert (response.status_code, response.json()["error"]) == (401, "invalid api key")
    assert not Hold.objects.exists()


def test_the_queries_of_a_call_are_few_and_known(quick_model, monkeypatch, key, small_png, django_assert_num_queries):
    monkeypatch.setattr("billing.credits.prices.SECONDS", 3600)
    post(small_png, key)
    # key with owner; account with plan and cycle; hold: window, key's count, take, hold row, ledger row,
    # savepoint and release; post: settle, key's count, window's count, month's count, ledger row, savepoint and release
    with django_assert_num_queries(16):
        post(small_png, key)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_customer_who_has_paid_gets_the_picture_whatever_fails_afterwards(quick_model, monkeypatch, key, small_png):
    monkeypatch.setattr("billing.credits.low_balance.check", lambda window: 1 / 0)
    assert post(small_png, key).status_code == 200
    assert window().api_used == 1
