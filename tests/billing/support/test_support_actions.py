"""Support actions on an account: always with a reason, once, in the audit trail, and never on colleagues."""

import re
import uuid
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.deletion import delete_account
from accounts.models import ApiKey, User
from billing.credits import ledger
from billing.models import Hold, LedgerEntry, Plan, StripeEvent, Subscription
from billing.payments.client import PaymentProviderUnavailable
from billing.support import actions, roles
from tests.billing.conftest import current_window, spend
from tests.billing.payments.stripe_stub import CUSTOMER
from tests.billing.support.staff import act_url, browser_of, make_staff, page

pytestmark = pytest.mark.django_db

REASON = "Ticket 12: outage on Monday"


def token() -> str:
    return str(uuid.uuid4())


def act(browser: Client, account, name: str, **form):
    """Submit the confirmed form."""
    return browser.post(act_url(account, name), {"reason": REASON, "token": token(), "confirmed": "1", **form})


def audit() -> list[tuple[str, str]]:
    """Who did what."""
    return [(entry.user.email, entry.change_message) for entry in LogEntry.objects.all()]


@pytest.fixture
def stale(account) -> Hold:
    """A hold that no process will settle any more."""
    held = ledger.hold(account, channel="api", key=None, request_id="request-lost")
    Hold.objects.filter(pk=held.pk).update(created_at=timezone.now() - timedelta(minutes=16))
    return held


# --- Credits --------------------------------------------------------------------------------------


def test_credits_are_given_after_a_confirmation_that_says_what_will_happen(support, account):
    url = act_url(account, "credits")
    assert "What will happen" not in support.get(url).content.decode()
    asked = support.post(url, {"credits": "25", "reason": REASON, "token": token()})
    html = asked.content.decode()
    assert "The prepaid balance goes from 0 to 25" in html
    assert REASON in html
    assert not LedgerEntry.objects.filter(kind="adjust").exists(), "nothing moves before it is confirmed"
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html))
    done = support.post(url, sent, follow=True)
    account.refresh_from_db()
    assert account.prepaid_balance == 25
    assert LedgerEntry.objects.get(kind="adjust").note == f"{REASON} (support@example.com)"
    assert audit() == [("support@example.com", f"Prepaid credits +25. Reason: {REASON}")]
    html = done.content.decode()
    assert html.count(REASON) >= 2, "in the ledger and in the audit trail"


def test_a_form_that_is_sent_twice_moves_credits_once(support, account):
    same = token()
    assert act(support, account, "credits", credits="25", token=same).status_code == 302
    again = act(support, account, "credits", credits="25", token=same)
    assert "sent before" in again.content.decode()
    account.refresh_from_db()
    assert account.prepaid_balance == 25
    assert len(audit()) == 1


@pytest.mark.parametrize(
    "form",
    [
        {"credits": "25", "reason": ""}, {"credits": "25", "reason": "  "}, {"credits": "0"}, {"credits": "x"}, {},
        {"credits": "1000001"}, {"credits": "25", "token": ""}, {"credits": "25", "token": "x"},
    ],
)  # fmt: skip
def test_nothing_moves_without_reason_or_amount(support, account, form):
    response = act(support, account, "credits", **form)
    assert response.status_code == 200
    assert response.context["form"].errors
    assert not LedgerEntry.objects.filter(kind="adjust").exists()
    assert audit() == []


def test_no_more_is_taken_than_there_is(support, account):
    ledger.grant_prepaid(account, 3, reference="pack")
    assert "fewer prepaid credits" in act(support, account, "credits", credits="-4").content.decode()
    assert act(support, account, "credits", credits="-3").status_code == 302
    account.refresh_from_db()
    assert account.prepaid_balance == 0


# --- Plans ----------------------------------------------------------------------------------------


def test_a_plan_is_changed_at_once_with_its_window(support, account):
    spend(account, api=2)
    plan = Plan.objects.get(label="Premium-1000")
    asked = support.post(act_url(account, "plan"), {"plan": plan.pk, "reason": REASON, "token": token()}).content.decode()
    assert "from Free to Premium-1000" in asked
    assert "1,000 credits instead of 50; 2 of them are used" in asked
    assert act(support, account, "plan", plan=plan.pk).status_code == 302
    account.refresh_from_db()
    assert (account.plan, current_window(account).allowance) == (plan, 1000)
    assert audit() == [("support@example.com", f"Plan changed from Free to Premium-1000. Reason: {REASON}")]


def test_the_current_plan_is_not_offered(support, account):
    response = act(support, account, "plan", plan=account.plan_id)
    assert response.context["form"].errors["plan"]


def test_support_is_warned_of_a_running_subscription(support, customer):
    start = timezone.now()
    Subscription.objects.create(
        account=customer, stripe_id="sub_7", status="active", period_start=start, period_end=start, started_at=start
    )
    plan = Plan.objects.get(label="Premium-1000")
    asked = support.post(act_url(customer, "plan"), {"plan": plan.pk, "reason": REASON, "token": token()})
    assert "The subscription sub_7 goes on" in asked.content.decode()


# --- Address and keys -----------------------------------------------------------------------------


def test_the_verification_mail_is_sent_again(support, account, user, django_capture_on_commit_callbacks):
    User.objects.filter(pk=user.pk).update(email_verified_at=None)
    EmailAddress.objects.filter(user=user).update(verified=False)
    with django_capture_on_commit_callbacks(execute=True):
        assert act(support, account, "resend-verification").status_code == 302
    assert [sent.to for sent in mail.outbox] == [[user.email]]
    assert "/accounts/confirm-email/" in mail.outbox[0].body
    assert audit() == [("support@example.com", f"Verification mail sent. Reason: {REASON}")]


def test_an_address_is_marked_as_verified(support, account, user):
    User.objects.filter(pk=user.pk).update(email_verified_at=None)
    assert "counts as the customer&#x27;s own" in support.get(act_url(account, "mark-verified")).content.decode()
    act(support, account, "mark-verified")
    user.refresh_from_db()
    assert user.email_verified_at is not None
    assert audit() == [("support@example.com", f"Address marked as verified. Reason: {REASON}")]


@pytest.mark.parametrize("name", ["resend-verification", "mark-verified", "unlock", "resync", "no-such-act"])
def test_actions_that_make_no_sense_now_are_not_offered_and_not_found(support, account, name):
    assert f"/act/{name}/" not in support.get(page(account)).content.decode()
    assert support.get(act_url(account, name)).status_code == 404
    assert act(support, account, name).status_code == 404


def test_all_keys_are_revoked_and_the_customer_gets_a_mail(support, account, user, key, django_capture_on_commit_callbacks):
    ApiKey.objects.issue(user, name="second")
    with django_capture_on_commit_callbacks(execute=True):
        act(support, account, "revoke-keys")
    assert not ApiKey.objects.live().exists()
    assert [(sent.to, sent.subject) for sent in mail.outbox] == [([user.email], "Your API keys were revoked · Offcut")]
    assert REASON not in mail.outbox[0].body
    assert audit() == [("support@example.com", f"All keys revoked: 2. Reason: {REASON}")]


def test_one_key_is_revoked_and_the_others_live(support, account, user, key, django_capture_on_commit_callbacks):
    leaked, _ = ApiKey.objects.issue(user, name="leaked")
    url = f"{act_url(account, 'revoke-key')}?target={leaked.lookup}"
    assert url in support.get(page(account)).content.decode()
    html = support.get(url).content.decode()
    assert leaked.prefix in html
    assert f'value="{leaked.lookup}"' in html
    with django_capture_on_commit_callbacks(execute=True):
        act(support, account, "revoke-key", target=leaked.lookup)
    assert [found.name for found in ApiKey.objects.live()] == ["test"]
    assert leaked.prefix in mail.outbox[0].body
    assert audit() == [("support@example.com", f"Key {leaked.prefix} revoked. Reason: {REASON}")]


def test_another_customers_key_is_not_found(support, account):
    other = User.objects.create_user("other@example.com")
    foreign, _ = ApiKey.objects.issue(other, name="theirs")
    assert support.get(f"{act_url(account, 'revoke-key')}?target={foreign.lookup}").status_code == 404
    assert act(support, account, "revoke-key", target=foreign.lookup).status_code == 404
    assert ApiKey.objects.live().filter(pk=foreign.pk).exists()


# --- The whole account ----------------------------------------------------------------------------


def test_an_account_is_locked_and_unlocked(support, account, user, key):
    caller = Client(headers={"x-api-key": key})
    act(support, account, "lock")
    user.refresh_from_db()
    assert not user.is_active
    assert caller.post("/rmbg").status_code == 401
    html = support.get(page(account)).content.decode()
    assert "locked" in html
    assert "/act/lock/" not in html
    act(support, account, "unlock")
    user.refresh_from_db()
    assert user.is_active
    assert [message for _, message in audit()] == [
        f"Account unlocked. Reason: {REASON}",
        f"Account locked. Reason: {REASON}",
    ]


def test_a_deleted_account_is_not_reopened(support, account, user):
    act(support, account, "credits", credits="5")
    delete_account(user)
    html = support.get(page(account)).content.decode()
    for name in ("unlock", "mark-verified", "resend-verification", "plan"):
        assert f"/act/{name}/" not in html
        assert act(support, account, name).status_code == 404
    assert "customer@example.com" not in html, "the audit trail, too, names nobody"
    assert not LogEntry.objects.filter(object_repr__contains="customer@example.com").exists()


def test_a_stale_hold_is_voided(support, account, stale):
    assert act(support, account, "void-hold", target=stale.pk).status_code == 302
    stale.refresh_from_db()
    assert stale.state == Hold.State.VOIDED
    assert current_window(account).held == 0
    assert audit() == [("support@example.com", f"Hold of request request-lost voided. Reason: {REASON}")]
    assert act(support, account, "void-hold", target=stale.pk).status_code == 404, "settled by now"


def test_a_hold_that_may_still_be_worked_on_is_not_voided(support, account):
    fresh = ledger.hold(account, channel="api", key=None, request_id="request-running")
    assert act(support, account, "void-hold", target=fresh.pk).status_code == 404
    fresh.refresh_from_db()
    assert fresh.state == Hold.State.HELD


# --- Stripe ---------------------------------------------------------------------------------------


def month_at_stripe(stub):
    start = int(timezone.now().timestamp()) - 86_400
    return stub.subscribe("Premium-1000", start, start + 30 * 86_400)


def test_an_event_is_processed_again(support, customer, stub):
    subscription = month_at_stripe(stub)
    event = StripeEvent.objects.create(
        account=customer, stripe_id="evt_1", type="customer.subscription.updated", object_id=subscription["id"],
        customer_id=CUSTOMER, status="failed", error="no answer",
    )  # fmt: skip
    url = f"{act_url(customer, 'replay-event')}?target=evt_1"
    assert url in support.get(page(customer)).content.decode()
    assert "processed once more" in support.get(url).content.decode()
    act(support, customer, "replay-event", target="evt_1")
    event.refresh_from_db()
    customer.refresh_from_db()
    assert (event.status, customer.plan.label) == ("processed", "Premium-1000")
    assert audit() == [("support@example.com", f"Event evt_1 processed again: processed. Reason: {REASON}")]


def test_an_event_that_fails_again_says_so(support, customer, stub, monkeypatch):
    StripeEvent.objects.create(
        account=customer, stripe_id="evt_1", type="invoice.paid", object_id="in_1", customer_id=CUSTOMER, status="failed"
    )
    monkeypatch.setattr(stub, "get_invoice", lambda stripe_id: 1 / 0)
    response = support.post(
        act_url(customer, "replay-event"),
        {"reason": REASON, "token": token(), "confirmed": "1", "target": "evt_1"},
        follow=True,
    )
    assert "processed again: failed" in response.content.decode()
    assert StripeEvent.objects.get().status == "failed"


def test_an_account_is_synced_with_stripe_after_the_differences_are_shown(support, customer, stub):
    subscription = month_at_stripe(stub)
    html = support.get(act_url(customer, "resync")).content.decode()
    assert f"subscription {subscription['id']} (active) is not known here" in html
    act(support, customer, "resync")
    customer.refresh_from_db()
    assert customer.plan.label == "Premium-1000"
    assert "Nothing differs now" in support.get(act_url(customer, "resync")).content.decode()
    assert audit() == [("support@example.com", f"Moved to what Stripe says. Reason: {REASON}")]


def test_an_action_that_stripe_refuses_is_in_the_trail_as_failed(support, customer, stub, monkeypatch):
    month_at_stripe(stub)

    def fail(stripe_id):
        raise PaymentProviderUnavailable

    monkeypatch.setattr(stub, "get_subscription", fail)
    text = "The payment provider cannot be reached at the moment. Nothing was charged; try again in a minute."
    assert text in act(support, customer, "resync").content.decode()
    assert audit() == [("support@example.com", f"Match with Stripe: failed. {text} Reason: {REASON}")]


def test_without_payment_no_stripe_action_is_offered(support, customer, stub, settings):
    settings.STRIPE_SECRET_KEY = ""
    StripeEvent.objects.create(account=customer, stripe_id="evt_1", type="invoice.paid", object_id="in_1")
    html = support.get(page(customer)).content.decode()
    assert "Payment is switched off" in html
    for name in ("resync", "replay-event"):
        assert f"/act/{name}/" not in html
        assert support.get(act_url(customer, name)).status_code == 404


# --- Who may --------------------------------------------------------------------------------------

FORMS = {
    "credits": {"credits": "5"}, "plan": {}, "revoke-keys": {}, "lock": {}, "revoke-key": {}, "void-hold": {},
}  # fmt: skip


def test_every_act_is_refused_to_readers_with_403_and_no_button(reader, account, key, stale):
    assert "/act/" not in reader.get(page(account)).content.decode()
    for name, form in FORMS.items():
        assert reader.get(act_url(account, name)).status_code == 403, name
        assert act(reader, account, name, **form).status_code == 403, name
    account.refresh_from_db()
    assert (account.prepaid_balance, account.user.is_active) == (0, True)
    assert ApiKey.objects.live().count() == 1
    assert audit() == []


def test_customers_and_strangers_are_sent_to_the_log_in(account, user):
    for browser in (Client(), browser_of(user)):
        assert act(browser, account, "credits", credits="5").headers["Location"].startswith("/admin/login/")
    account.refresh_from_db()
    assert account.prepaid_balance == 0


@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
def test_support_acts_on_no_colleague_and_not_on_itself(support, rights):
    colleague = User.objects.create_user("colleague@example.com", **rights)
    for user in (colleague, User.objects.get(email="support@example.com")):
        account = ledger.get_account(user)
        html = support.get(page(account)).content.decode()
        assert "/act/" not in html
        for name, form in FORMS.items():
            assert act(support, account, name, **form).status_code == 403, name
        account.refresh_from_db()
        assert (account.prepaid_balance, account.user.is_active) == (0, True)


def test_superusers_act_on_staff_but_cannot_lock_themselves_out():
    root = User.objects.create_superuser("root@example.com", "correct horse")
    colleague = ledger.get_account(make_staff("Support"))
    browser = browser_of(root)
    assert act(browser, colleague, "lock").status_code == 302
    assert not User.objects.get(pk=colleague.user_id).is_active
    own = ledger.get_account(root)
    assert "cannot lock yourself out" in act(browser, own, "lock").content.decode()
    assert User.objects.get(pk=root.pk).is_active
    assert len(audit()) == 1, "what was refused is not in the trail"


def test_the_groups_come_with_every_deployment():
    held = {group.name: set(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()}
    assert held.keys() == {"Support", "Readers"}
    assert all(name.startswith("view_") for name in held["Readers"])
    assert held["Support"] - held["Readers"] == {"change_account"}
    for model in (*apps.get_app_config("billing").get_models(), *apps.get_app_config("accounts").get_models()):
        assert f"view_{model._meta.model_name}" in held["Readers"]


def test_seeding_again_adds_what_is_missing_and_takes_nothing_away():
    own = Group.objects.get(name="Readers")
    own.permissions.clear()
    extra = Group.objects.get(name="Support").permissions.get(codename="change_account")
    own.permissions.add(extra)
    roles.seed_groups("default", apps)
    names = set(own.permissions.values_list("codename", flat=True))
    assert {"view_account", "change_account"} <= names


def test_every_act_is_named_by_its_key_and_has_a_reason():
    for name, action in actions.ACTIONS.items():
        assert action.name == name
        assert action.form.base_fields["reason"].required
