"""`/` and `/editor`: what each visitor gets. tests/browser covers what happens on them."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from billing.credits import ledger
from imaging.executor import models

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(client: Client, user) -> Client:
    client.force_login(user)
    return client


def text_of(response) -> str:
    return response.content.decode()


def test_the_front_page_is_public(client, owner):
    for browser in (Client(), owner):
        response = browser.get("/")
        assert response.status_code == 200
        assert "Remove the background of any picture" in text_of(response)


def test_the_front_page_shows_the_plans_prices_and_the_address_to_call(client):
    text = text_of(client.get("/"))
    assert "Premium-5000" in text
    assert "$69" in text
    assert "5,000 pictures a month" in text
    assert "http://testserver/rmbg" in text


def test_the_front_page_shows_how_many_are_free(client, settings):
    settings.ANONYMOUS_IMAGES_PER_DAY = 7
    assert "7 a day are free" in text_of(client.get("/"))


def test_the_editor_sends_anonymous_visitors_to_log_in(client):
    response = client.get("/editor")
    assert response.status_code == 302
    assert response.headers["Location"] == "/accounts/login/?next=/editor"


def test_the_editor_shows_the_balance_and_is_never_cached(owner, user):
    ledger.grant_prepaid(ledger.get_account(user), 1000, reference="test")
    response = owner.get("/editor")
    assert response.status_code == 200
    assert "<strong>1,050</strong> credits left" in text_of(response)
    assert "50 included, 1,000 prepaid" in text_of(response)
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("address", ["/", "/editor"])
def test_other_methods_are_refused(owner, address):
    assert owner.post(address).status_code == 405
    assert owner.head(address).status_code == 200


@pytest.mark.parametrize(("address", "limit"), [("/", 4), ("/editor", 6)])
def test_queries(owner, django_assert_max_num_queries, address, limit):
    owner.get(address)
    with django_assert_max_num_queries(limit):
        owner.get(address)


@pytest.mark.parametrize("address", ["/", "/editor"])
def test_every_file_that_a_page_names_exists(owner, address):
    named = re.findall(r'(?:href|src|data-sample)="/static/([^"]+)"', text_of(owner.get(address)))
    assert any(name.endswith(".js") for name in named)
    assert [name for name in named if finders.find(name) is None] == []


@pytest.mark.parametrize("address", ["/", "/editor"])
def test_each_module_that_a_page_needs_is_preloaded(owner, address):
    text = text_of(owner.get(address))
    ahead = set(re.findall(r'rel="modulepreload" href="/static/imaging/([\w-]+\.js)"', text))
    found: set[str] = set()
    to_read = re.findall(r'type="module" src="/static/imaging/([\w-]+\.js)"', text)
    while to_read:
        module = Path(str(finders.find(f"imaging/{to_read.pop()}"))).read_text()
        needed = set(re.findall(r'^import .*?"\./([\w-]+\.js)";$', module, re.MULTILINE))
        to_read += needed - found
        found |= needed
    assert ahead == found


def test_arabic_reads_from_right_to_left(client):
    assert 'lang="ar" dir="rtl"' in text_of(client.get("/", headers={"Accept-Language": "ar"}))


def test_the_editor_offers_a_model_only_where_there_is_a_choice(owner, settings, monkeypatch):
    monkeypatch.setattr(models, "weights_ready", lambda name: name != "isnet-general-use")
    settings.IMAGING_MODELS = ["u2net", "isnet-general-use"]
    assert 'name="model"' not in text_of(owner.get("/editor"))
    settings.IMAGING_MODELS = ["u2net", "u2netp"]
    offered = re.findall(r'<option value="([^"]*)" data-price="1">(u2[^<]+)<', text_of(owner.get("/editor")))
    assert offered == [("", "u2net (medium speed)"), ("u2netp", "u2netp (fast)")]
