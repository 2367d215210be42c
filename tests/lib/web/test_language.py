"""Which language a page is in, and how a visitor changes it."""

import json
import re

import pytest
from django.test import Client
from django.utils import translation
from django.utils.translation import get_language

from accounts.models import User
from lib.web import catalogue

pytestmark = pytest.mark.django_db

ARABIC_BROWSER = "ar-EG,ar;q=0.9,en;q=0.5"
PAGES = ["/pricing", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"]
OWN_PAGES = ["/profile", "/profile/keys", "/profile/delete", "/billing", "/accounts/2fa/", "/accounts/email/"]


def language_of(client: Client, path: str = "/accounts/login/", **headers: str) -> tuple[str, str]:
    """`lang` and `dir` of a page."""
    page = client.get(path, headers=headers)
    assert page.status_code == 200
    found = re.search(r'<html lang="(\w+)" dir="(\w+)">', page.content.decode())
    assert found
    assert page["Content-Language"] == found[1]
    return found[1], found[2]


def choose(client: Client, language: str, page: str = "/pricing"):
    return client.post("/language", {"language": language, "next": page})


@pytest.fixture
def arabic(user: User) -> User:
    """`user`, who reads Arabic."""
    user.language = "ar"
    user.save()
    return user


def log_in(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def test_english_unless_something_else_is_asked_for(client):
    assert language_of(client) == ("en", "ltr")
    assert language_of(client, **{"accept-language": "de,fr;q=0.8"}) == ("en", "ltr")


def test_a_browser_that_asks_for_arabic_gets_it(client):
    assert language_of(client, **{"accept-language": ARABIC_BROWSER}) == ("ar", "rtl")


def test_the_choice_in_this_browser_beats_what_the_browser_asks_for(client):
    choose(client, "en")
    assert language_of(client, **{"accept-language": ARABIC_BROWSER}) == ("en", "ltr")


def test_the_profile_beats_the_choice_in_this_browser(client, arabic):
    choose(client, "en")
    log_in(client, arabic)
    assert language_of(client, "/profile", **{"accept-language": "en"}) == ("ar", "rtl")


def test_a_profile_in_a_removed_language_counts_as_none(client, user):
    User.objects.update(language="xx")
    assert language_of(log_in(client, user), "/profile", **{"accept-language": "ar"}) == ("ar", "rtl")


def test_the_choice_is_kept_in_cookie_and_profile(client, user):
    answer = choose(log_in(client, user), "ar")
    assert (answer.status_code, answer.url) == (302, "/pricing")
    cookie = answer.cookies["django_language"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == ("ar", True, "Lax")
    assert int(cookie["max-age"]) > 300 * 24 * 3600
    user.refresh_from_db()
    assert user.language == "ar"
    client.post("/accounts/logout/")
    assert language_of(client) == ("ar", "rtl"), "the browser stays in it"


def test_a_visitors_choice_changes_no_profile(client, user):
    choose(client, "ar")
    user.refresh_from_db()
    assert user.language == "en"


@pytest.mark.parametrize("language", ["xx", "", "EN", "de", "ar-EG", "../ar"])
def test_an_unknown_language_is_ignored(client, user, language):
    answer = choose(log_in(client, user), language)
    assert (answer.status_code, answer.url) == (302, "/pricing")
    assert "django_language" not in answer.cookies
    user.refresh_from_db()
    assert user.language == "en"


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil.example", ""])
def test_it_leads_to_no_other_site(client, page):
    assert choose(client, "ar", page).url == "/"


@pytest.mark.parametrize(
    ("referer", "page"), [("http://testserver/pricing?a=b", "/pricing?a=b"), ("https://evil.example/", "/")]
)
def test_without_a_page_of_ours_it_leads_back_to_where_the_form_was(client, referer, page):
    answer = client.post("/language", {"language": "ar", "next": "//evil.example"}, headers={"referer": referer})
    assert answer.url.removeprefix("http://testserver") == page


def test_the_language_of_a_request_ends_with_it(client):
    choose(client, "ar")
    language_of(client)
    assert get_language() == "en"


def test_pages_vary_by_language_and_answers_of_the_api_do_not(client):
    page = client.get("/pricing", headers={"accept-language": "ar"})
    assert page["Content-Language"] == "ar"
    assert "Accept-Language" in page["Vary"]
    answer = client.get("/api/user-token", headers={"accept-language": "ar"})
    assert "Content-Language" not in answer
    assert "Accept-Language" not in answer.get("Vary", "")


def test_it_leads_back_to_the_page_with_its_query(client):
    html = client.get("/accounts/login/?next=/billing").content.decode()
    assert 'name="next" value="/accounts/login/?next=/billing"' in html
    assert choose(client, "ar", "/accounts/login/?next=/billing").url == "/accounts/login/?next=/billing"


def test_looking_changes_no_language_and_a_form_needs_its_token(client):
    assert client.get("/language").status_code == 405
    assert Client(enforce_csrf_checks=True).post("/language", {"language": "ar"}).status_code == 403


def test_logging_in_works_in_arabic(client, arabic):
    choose(client, "ar")
    assert "تسجيل الدخول" in client.get("/accounts/login/").content.decode()
    wrong = client.post("/accounts/login/", {"login": arabic.email, "password": "wrong"})
    assert wrong.status_code == 200
    assert re.search(r'class="errorlist nonfield"[^>]*><li>[\u0600-\u06ff ]+', wrong.content.decode()), "the error, too"
    right = client.post("/accounts/login/", {"login": arabic.email, "password": "correct horse battery staple"})
    assert right.url == "/dashboard"


@pytest.mark.parametrize("page", PAGES)
def test_public_pages_are_in_arabic(client, page):
    choose(client, "ar")
    assert language_of(client, page) == ("ar", "rtl")


@pytest.mark.parametrize("page", OWN_PAGES)
def test_pages_of_the_account_are_in_arabic(client, arabic, page):
    assert language_of(log_in(client, arabic), page) == ("ar", "rtl")


def test_the_api_speaks_english_to_an_arabic_customer(client, arabic):
    log_in(client, arabic)
    refused = client.get("/api/user-token")
    assert (refused.status_code, refused.json()["error"]) == (405, "This method is not allowed here.")
    assert client.post("/api/user-token").status_code == 200
    anonymous = Client(headers={"accept-language": "ar"})
    assert anonymous.post("/api/user-token").json()["error"] == "Please log in."
    assert anonymous.post("/rmbg", {"image": "no picture"}).status_code == 400
    for path in ("/rmbg", "/api/membership-usage", "/api/none"):
        error = client.get(path, headers={"accept-language": "ar"}).json()["error"]
        assert error.isascii(), error


def test_refusals_of_the_domain_are_in_the_pages_language(client, arabic):
    log_in(client, arabic)
    for number in range(20):
        client.post("/profile/keys", {"name": f"key {number}"})
    html = client.post("/profile/keys", {"name": "one more"}).content.decode()
    assert "20 من المفاتيح الفعّالة على الأكثر" in html


@pytest.mark.parametrize(("language", "texts"), [("en", {}), ("ar", {"Copied": "تم النسخ"})])
def test_scripts_get_their_texts(client, language, texts):
    """A missing text is shown as written in the script, in English."""
    answer = client.get(f"/language/{language}.js")
    assert answer["Content-Type"].startswith("text/javascript")
    assert "max-age=600" in answer["Cache-Control"]
    script = answer.content.decode()
    assert "django.gettext = " in script
    found = re.search(r"const newcatalog = (\{.*?\});", script, re.DOTALL)
    assert {key: text for key, text in json.loads(found[1] if found else "{}").items() if key == "Copied"} == texts


def test_scripts_get_the_hints_of_the_catalogue(client):
    """Each with its link to a next step, where it has one, in the reader's language."""
    script = client.get("/language/ar.js").content.decode()
    found = json.loads(re.search(r"globalThis\.errorHints = (\{.*\});", script)[1])
    with translation.override("ar"):
        assert found == catalogue.hints()
    assert found["monthly_limit_reached"]["link"] == "pricing"
    assert "link" not in found["empty_file"]


def test_there_are_no_texts_in_an_unknown_language(client):
    assert client.get("/language/xx.js").status_code == 404


def test_dates_numbers_and_prices_in_arabic(client, arabic):
    """Western digits as on invoices, the month by its Arabic name, prices from left to right."""
    html = log_in(client, arabic).get("/billing").content.decode()
    assert re.search(r"1 (يناير|فبراير|مارس|أبريل|مايو|يونيو|يوليو|أغسطس|سبتمبر|أكتوبر|نوفمبر|ديسمبر) \d{4}، 00:00", html)
    assert '<bdi dir="ltr">$19</bdi>' in client.get("/pricing").content.decode()
    assert "20,000 رصيد شهريًا" in client.get("/pricing").content.decode()
