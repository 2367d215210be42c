"""`/admin/`: who gets in, what support can do, and that it is written down."""

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client

from accounts.models import ApiKey, User

pytestmark = pytest.mark.django_db

USERS, KEYS = "/admin/accounts/user/", "/admin/accounts/apikey/"


@pytest.fixture
def staff(db) -> Client:
    """The browser of a superuser."""
    browser = Client()
    browser.force_login(User.objects.create_superuser("staff@example.com", "a fine long phrase"))
    return browser


def act(browser: Client, page: str, action: str, row: User | ApiKey):
    return browser.post(page, {"action": action, "_selected_action": [row.pk]})


@pytest.mark.parametrize("page", ["/admin/", USERS, KEYS])
def test_only_staff_get_in(staff, owner, anonymous, page):
    assert staff.get(page).status_code == 200
    assert owner.get(page, follow=True).status_code == 403
    assert anonymous.get(page, follow=True).redirect_chain[-1][0].startswith("/accounts/login/?next=")


def test_staff_without_a_second_factor_are_sent_to_set_it_up(staff, settings):
    settings.STAFF_REQUIRE_MFA = True
    response = staff.get(USERS, follow=True)
    assert ("/accounts/2fa/totp/activate/", 302) in response.redirect_chain
    Authenticator.objects.create(user=User.objects.get(email="staff@example.com"), type="totp", data={})
    assert staff.get(USERS).status_code == 200


def test_a_user_is_found_by_address_public_id_and_key_prefix(staff, user, key):
    found = ApiKey.objects.get()
    User.objects.create_user("somebody@example.com")
    for term in (user.email, user.public_id, found.prefix, f"{found.prefix}…", found.lookup, key):
        html = staff.get(USERS, {"q": term}).content.decode()
        assert f"{USERS}{user.pk}/change/" in html
        assert "somebody@example.com" not in html
    for term in (user.email, found.prefix):
        assert f"{KEYS}{found.pk}/change/" in staff.get(KEYS, {"q": term}).content.decode()


def test_no_secret_is_displayed(staff, user, key):
    found = ApiKey.objects.get()
    for page in (USERS, KEYS, f"{USERS}{user.pk}/change/", f"{KEYS}{found.pk}/change/"):
        html = staff.get(page).content.decode()
        for secret in (key, found.digest, user.password):
            assert secret not in html


@pytest.mark.parametrize(
    ("action", "check"),
    [
        ("mark_verified", lambda user: user.email_verified_at is not None),
        ("deactivate", lambda user: not user.is_active),
        ("reactivate", lambda user: user.is_active),
        ("revoke_all_keys", lambda user: not user.api_keys.live().exists()),
        ("resend_verification", lambda user: [sent.to for sent in mail.outbox] == [[user.email]]),
    ],
)
def test_each_act_works_and_is_in_the_log(staff, user, key, action, check, django_capture_on_commit_callbacks):
    User.objects.filter(pk=user.pk).update(email_verified_at=None, is_active=action != "reactivate")
    with django_capture_on_commit_callbacks(execute=True):
        assert act(staff, USERS, action, user).status_code == 302
    user.refresh_from_db()
    assert check(user)
    entry = LogEntry.objects.get()
    assert (entry.user.email, entry.object_id) == ("staff@example.com", str(user.pk))
    assert entry.change_message


def test_one_key_is_revoked_and_that_is_in_the_log(staff, user, key):
    found, _ = ApiKey.objects.issue(user, name="leaked")
    act(staff, KEYS, "revoke", found)
    assert Client(headers={"x-api-key": key}).post("/rmbg").status_code == 400
    found.refresh_from_db()
    assert found.revoked_at is not None
    assert LogEntry.objects.get().change_message == "Revoked"


@pytest.mark.parametrize("page", [USERS, KEYS])
def test_nothing_is_made_or_deleted_there(staff, user, key, page):
    row = user if page == USERS else ApiKey.objects.get()
    assert staff.get(f"{page}add/").status_code == 403
    assert staff.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    act(staff, page, "delete_selected", row)
    assert type(row).objects.filter(pk=row.pk).exists()


def test_staff_who_are_no_superusers_act_on_no_superuser_and_make_no_staff(staff, user):
    from django.contrib.auth.models import Permission

    boss = User.objects.get(email="staff@example.com")
    support = User.objects.create_user("support@example.com", is_staff=True)
    support.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    browser = Client()
    browser.force_login(support)
    act(browser, USERS, "deactivate", boss)
    browser.post(f"{USERS}{user.pk}/change/", {"name": "Ada", "language": "en", "is_staff": "on", "is_superuser": "on"})
    boss.refresh_from_db()
    user.refresh_from_db()
    assert boss.is_active
    assert (user.name, user.is_staff, user.is_superuser) == ("Ada", False, False)


def test_a_deleted_account_is_not_reopened(staff, user):
    from accounts.deletion import delete_account

    delete_account(user)
    act(staff, USERS, "reactivate", user)
    user.refresh_from_db()
    assert not user.is_active
