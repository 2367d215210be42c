"""`/profile/callbacks`: a customer's signing secret."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.credits import ledger
from imaging.callbacks.secrets import get_secret
from imaging.models import CallbackSecret

pytestmark = pytest.mark.django_db
PAGE = "/profile/callbacks"


@pytest.fixture
def owner(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def secret_of(user: User) -> str:
    return get_secret(ledger.get_account(user)).secret


def test_it_is_made_on_the_first_visit_and_stays(owner, user):
    pages = [owner.get(PAGE) for _ in range(2)]
    assert [page.status_code for page in pages] == [200, 200]
    assert all(secret_of(user) in page.content.decode() for page in pages)
    assert "no-store" in pages[0].headers["Cache-Control"]
    assert CallbackSecret.objects.count() == 1


def test_a_rotation_shows_the_new_one_and_tells_until_when_the_old_one_signs(owner, user):
    old = secret_of(user)
    page = owner.post(PAGE, follow=True).content.decode()
    assert old != secret_of(user)
    assert secret_of(user) in page
    assert old not in page
    assert "also signs until" in page
    CallbackSecret.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    assert "also signs until" not in owner.get(PAGE).content.decode()


def test_everybody_has_their_own(owner, user):
    other = User.objects.create_user("other@example.com", "correct horse battery staple")
    other.verify_email()
    browser = Client()
    browser.force_login(other)
    page = browser.get(PAGE).content.decode()
    assert secret_of(user) not in page
    assert secret_of(other) in page


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_visitor_is_sent_to_log_in(client, method):
    response = getattr(client, method)(PAGE)
    assert (response.status_code, response.headers["Location"]) == (302, f"/accounts/login/?next={PAGE}")
    assert not CallbackSecret.objects.exists()


def test_a_form_of_another_site_rotates_nothing(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    old = secret_of(user)
    assert browser.post(PAGE).status_code == 403
    assert secret_of(user) == old


def test_other_methods(owner):
    assert owner.delete(PAGE).status_code == 405
