"""`/profile/keys`: what an owner, an outsider and an anonymous visitor can do there."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import MAX_LIVE_KEYS, ApiKey, ApiKeyMonth

pytestmark = pytest.mark.django_db

ACTIONS = ["edit", "rotate", "revoke"]
FORMS = {"edit": {"name": "Taken over"}, "rotate": {"hours": "0"}, "revoke": {}}


def shown_key(response) -> str:
    found = re.search(r'id="key-text">(rmbg_\w+)<', response.content.decode())
    assert found
    return found[1]


def create(client: Client, **fields: str):
    return client.post("/profile/keys", {"name": "Web shop", **fields})


def status_of(text: str) -> int:
    """The status of a call with the key: 400 means that the key was accepted, as the request has no image."""
    return Client(headers={"x-api-key": text}).post("/rmbg").status_code


@pytest.fixture
def own_key(user) -> ApiKey:
    return ApiKey.objects.issue(user, name="first")[0]


def url(key: ApiKey, action: str) -> str:
    return f"/profile/keys/{key.lookup}/{action}"


def test_a_new_key_is_shown_once_with_a_curl_line(owner):
    response = create(owner)
    text = shown_key(response)
    assert f"curl -sS -H &#x27;x-api-key: {text}&#x27;" in response.content.decode() or f"x-api-key: {text}" in str(
        response.content
    )
    assert "no-store" in response.headers["Cache-Control"]
    assert status_of(text) == 400
    assert text not in owner.get("/profile/keys").content.decode()
    assert text not in str(dict(owner.session.items()))


def test_a_key_may_expire_and_have_a_cap(owner):
    create(owner, expires_in_days="30", monthly_credit_cap="500")
    key = ApiKey.objects.get()
    assert key.expires_at - timezone.now() > timedelta(days=29)
    assert key.monthly_credit_cap == 500


@pytest.mark.parametrize(
    "fields", [{"name": ""}, {"name": "x" * 101}, {"monthly_credit_cap": "0"}, {"monthly_credit_cap": "-1"},
               {"monthly_credit_cap": "many"}, {"monthly_credit_cap": "99999999999"}, {"expires_in_days": "1000"}]
)  # fmt: skip
def test_bad_input_creates_no_key(owner, fields):
    assert create(owner, **fields).status_code == 200
    assert not ApiKey.objects.exists()


def test_at_most_twenty_live_keys(owner, user):
    for number in range(MAX_LIVE_KEYS):
        ApiKey.objects.issue(user, name=str(number))
    response = create(owner)
    assert "at most 20 live keys" in response.content.decode()
    assert ApiKey.objects.count() == MAX_LIVE_KEYS
    ApiKey.objects.latest("pk").revoke()
    shown_key(create(owner))


def test_the_list_shows_prefix_use_and_status(owner, user, own_key):
    month = timezone.now().date().replace(day=1)
    ApiKeyMonth.objects.create(key=own_key, month=month, used=17, held=1)
    ApiKeyMonth.objects.create(key=own_key, month=month - timedelta(days=40), used=900)
    html = owner.get("/profile/keys").content.decode()
    assert own_key.prefix in html
    assert re.search(r'data-label="This month"[^>]*><span>17', html)
    assert "never" in html
    assert own_key.digest not in html


def test_the_list_takes_few_queries_however_many_keys(owner, user, django_assert_num_queries):
    for number in range(10):
        ApiKey.objects.issue(user, name=str(number))
    with django_assert_num_queries(3):  # session, user, keys with their counts
        owner.get("/profile/keys")


def test_edit_name_and_cap(owner, own_key):
    assert owner.post(url(own_key, "edit"), {"name": "Renamed", "monthly_credit_cap": "9"}).url == "/profile/keys"
    own_key.refresh_from_db()
    assert (own_key.name, own_key.monthly_credit_cap) == ("Renamed", 9)


def test_revoke_asks_first_and_then_ends_the_key_at_once(owner, user):
    key, text = ApiKey.objects.issue(user, name="leaked")
    assert owner.get(url(key, "revoke")).status_code == 200
    assert status_of(text.text) == 400
    owner.post(url(key, "revoke"))
    assert status_of(text.text) == 401


@pytest.mark.parametrize(("hours", "old_status"), [("0", 401), ("24", 400)])
def test_rotate_gives_a_new_key_and_the_old_one_its_grace_time(owner, user, hours, old_status):
    key, old = ApiKey.objects.issue(user, name="shop", monthly_credit_cap=7)
    new = shown_key(owner.post(url(key, "rotate"), {"hours": hours}))
    assert (status_of(new), status_of(old.text)) == (400, old_status)
    made = ApiKey.objects.latest("pk")
    assert new.startswith(made.prefix)
    assert (made.replaces, made.name, made.monthly_credit_cap, made.expires_at) == (key, "shop", 7, None)


def test_a_key_that_expires_is_replaced_by_one_that_lives_as_long(user):
    key, _ = ApiKey.objects.issue(user, name="month", expires_at=timezone.now() + timedelta(days=30))
    ApiKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(days=29))
    key.refresh_from_db()
    made, _ = key.rotate(timedelta(days=7))
    assert made.expires_at - timezone.now() > timedelta(days=58)
    assert key.expires_at - timezone.now() < timedelta(days=31)


def test_a_key_is_rotated_once(owner, own_key):
    owner.post(url(own_key, "rotate"), {"hours": "24"})
    response = owner.post(url(own_key, "rotate"), {"hours": "24"})
    assert "has ended or was rotated before" in response.content.decode()
    assert ApiKey.objects.count() == 2


def test_a_full_account_can_only_rotate_without_grace(owner, user):
    keys = [ApiKey.objects.issue(user, name=str(number))[0] for number in range(MAX_LIVE_KEYS)]
    assert "at most 20" in owner.post(url(keys[0], "rotate"), {"hours": "24"}).content.decode()
    keys[0].refresh_from_db()
    assert keys[0].expires_at is None, "the refused rotation must not have shortened the old key's life"
    shown_key(owner.post(url(keys[0], "rotate"), {"hours": "0"}))


@pytest.mark.parametrize("action", ACTIONS)
def test_another_users_key_is_not_found(outsider, own_key, action):
    assert outsider.get(url(own_key, action)).status_code == 404
    assert outsider.post(url(own_key, action), FORMS[action]).status_code == 404
    own_key.refresh_from_db()
    assert own_key.is_live
    assert own_key.name == "first"


def test_an_outsiders_list_shows_nothing_of_it(outsider, own_key):
    assert own_key.lookup not in outsider.get("/profile/keys").content.decode()


@pytest.mark.parametrize("action", ["", *ACTIONS])
def test_anonymous_visitors_are_asked_to_log_in(anonymous, own_key, action):
    address = url(own_key, action) if action else "/profile/keys"
    for response in (anonymous.get(address), anonymous.post(address, FORMS.get(action, {"name": "x"}))):
        assert response.url == f"/accounts/login/?next={address}"
    own_key.refresh_from_db()
    assert own_key.is_live
    assert ApiKey.objects.count() == 1


def test_a_form_from_another_site_is_refused(user, own_key):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.post("/profile/keys", {"name": "x"}).status_code == 403
    assert browser.post(url(own_key, "revoke")).status_code == 403
    own_key.refresh_from_db()
    assert own_key.is_live
