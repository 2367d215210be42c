"""`/profile` and the deletion of an account."""

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.sessions.models import Session
from django.test import Client

from accounts import deletion
from accounts.models import ApiKey, User
from billing.models import Account
from tests.accounts.conftest import PASSWORD
from tests.sessions import token_of

pytestmark = pytest.mark.django_db


def delete(client: Client, confirmation: str = PASSWORD):
    return client.post("/profile/delete", {"confirmation": confirmation})


@pytest.fixture
def veto(monkeypatch):
    """An app that objects to every deletion."""
    monkeypatch.setattr(deletion, "_vetoes", [])
    deletion.register_veto(lambda user: None)
    deletion.register_veto(lambda user: "Your subscription is still running. Cancel it first.")


def test_the_owner_sees_name_addresses_and_state(owner, user):
    EmailAddress.objects.create(user=user, email="waiting@example.com")
    html = owner.get("/profile").content.decode()
    for text in (user.email, "Verified", "waiting@example.com", "Not confirmed yet", user.public_id):
        assert text in html


def test_the_owner_changes_name_and_language(owner, user):
    assert owner.post("/profile", {"name": "Ada", "language": "ar"}).url == "/profile"
    user.refresh_from_db()
    assert (user.name, user.language) == ("Ada", "ar")


@pytest.mark.parametrize("fields", [{"name": "x" * 151, "language": "en"}, {"name": "Ada", "language": "xx"}])
def test_bad_input_changes_nothing(owner, user, fields):
    assert owner.post("/profile", fields).status_code == 200
    user.refresh_from_db()
    assert (user.name, user.language) == ("", "en")


def test_nothing_else_can_be_changed_there(owner, user):
    owner.post("/profile", {"name": "Ada", "language": "en", "is_staff": "1", "email": "x@example.com"})
    user.refresh_from_db()
    assert (user.is_staff, user.email) == (False, "customer@example.com")


@pytest.mark.parametrize("page", ["/profile", "/profile/delete"])
def test_anonymous_visitors_are_asked_to_log_in(anonymous, user, page):
    assert anonymous.get(page).url == f"/accounts/login/?next={page}"
    assert anonymous.post(page, {"confirmation": PASSWORD}).url == f"/accounts/login/?next={page}"
    user.refresh_from_db()
    assert user.is_active


def test_an_outsider_deletes_only_their_own_account(outsider, user):
    delete(outsider)
    user.refresh_from_db()
    assert user.is_active
    assert User.objects.filter(is_active=False).count() == 1


def test_deleting_ends_the_keys_and_takes_the_persons_data(
    owner, user, key, django_capture_on_commit_callbacks, quick_model
):
    token = token_of(user)
    Authenticator.objects.create(user=user, type="totp", data={})
    entry = LogEntry.objects.log_actions(user.pk, [user], CHANGE, "x")[0]
    elsewhere = Client()
    elsewhere.force_login(user)
    with django_capture_on_commit_callbacks(execute=True):
        assert delete(owner).url == "/accounts/login/"
    assert Client(headers={"x-api-key": key}).post("/rmbg").status_code == 401
    assert Client(headers={"Authorization": f"Bearer {token}"}).post("/rmbg").status_code == 401
    assert elsewhere.get("/profile").status_code == 302
    user.refresh_from_db()
    assert user.email == f"deleted-{user.public_id.lower()}@invalid"
    assert (user.name, user.email_verified_at, user.is_active, user.has_usable_password()) == ("", None, False, False)
    assert not EmailAddress.objects.exists()
    assert not Authenticator.objects.exists()
    assert not [row for row in Session.objects.all() if row.get_decoded().get("_auth_user_id") == str(user.pk)]
    assert ApiKey.objects.get().revoked_at is not None
    assert Account.objects.filter(user=user).exists(), "billing's rows stay"
    entry.refresh_from_db()
    assert "customer@example.com" not in entry.object_repr


def test_the_address_is_free_for_a_new_account(owner, user):
    delete(owner)
    assert User.objects.create_user("customer@example.com")


@pytest.mark.parametrize("confirmation", ["", "wrong", "customer@example.com"])
def test_without_the_password_nothing_is_deleted(owner, user, confirmation):
    assert delete(owner, confirmation).status_code == 200
    user.refresh_from_db()
    assert user.is_active


def test_guessing_the_password_is_throttled(owner, user):
    for _ in range(5):
        delete(owner, "wrong")
    delete(owner)
    user.refresh_from_db()
    assert user.is_active


@pytest.mark.parametrize(("typed", "deleted"), [("Customer@Example.com ", True), ("other@example.com", False)])
def test_without_a_password_the_address_is_typed_out(client, user, typed, deleted):
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    delete(client, typed)
    user.refresh_from_db()
    assert user.is_active is not deleted


def test_an_app_may_object(owner, user, key, veto):
    assert "Cancel it first." in owner.get("/profile/delete").content.decode()
    assert "Cancel it first." in delete(owner).content.decode()
    user.refresh_from_db()
    assert user.is_active
    assert Client(headers={"x-api-key": key}).post("/rmbg").status_code == 400
