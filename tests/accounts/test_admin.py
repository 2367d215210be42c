"""`/admin/`: who gets in, what support can do, and that it is recorded."""

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, Permission
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


@pytest.mark.parametrize("page", [USERS, KEYS])
def test_nothing_can_be_created_or_deleted(staff, user, key, page):
    row = user if page == USERS else ApiKey.objects.get()
    assert staff.get(f"{page}add/").status_code == 403
    assert staff.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    staff.post(page, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    assert type(row).objects.filter(pk=row.pk).exists()


def test_staff_who_are_not_superusers_cannot_make_staff(staff, user):
    support = User.objects.create_user("support@example.com", is_staff=True)
    support.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    browser = Client()
    browser.force_login(support)
    form = {
        "name": "Ada",
        "language": "en",
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [Group.objects.get(name="Support").pk],
    }
    assert browser.post(f"{USERS}{user.pk}/change/", form).status_code == 302
    user.refresh_from_db()
    assert (user.name, user.is_staff, user.is_superuser, user.groups.count()) == ("Ada", False, False, 0)


@pytest.mark.parametrize("group", ["Support", "Readers"])
def test_the_groups_cannot_change_users_or_rights(user, group):
    member = User.objects.create_user("member@example.com", is_staff=True)
    member.groups.add(Group.objects.get(name=group))
    browser = Client()
    browser.force_login(member)
    assert browser.get(f"{USERS}{user.pk}/change/").status_code == 200
    for row in (user, member):
        form = {"name": "Ada", "language": "en", "is_staff": "on", "is_superuser": "on"}
        assert browser.post(f"{USERS}{row.pk}/change/", form).status_code == 403
        row.refresh_from_db()
        assert (row.name, row.is_superuser) == ("", False)
    for page in ("/admin/auth/group/", "/admin/auth/group/add/"):
        assert browser.get(page).status_code == 403


def test_superusers_can_make_staff(staff, user):
    form = {"name": "Ada", "language": "en", "is_staff": "on", "groups": [Group.objects.get(name="Support").pk]}
    assert staff.post(f"{USERS}{user.pk}/change/", form).status_code == 302
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert user.has_perm("billing.change_account")
