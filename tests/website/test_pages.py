"""Legal pages, error pages, robots.txt, sitemap.xml, icons and the preview of links on other sites."""

import re

import pytest
from django.test import Client
from django.urls import reverse

LEGAL = ["/privacy", "/terms", "/cookies"]
ID = "a-request-of-mine-42"


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("path", LEGAL)
def test_a_legal_page_opens(client, path, language, db, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        response = client.get(path, headers={"Accept-Language": language})
    assert response.status_code == 200
    assert client.post(path).status_code == 405


@pytest.mark.parametrize("path", LEGAL)
def test_a_legal_page_says_that_it_is_a_draft_until_the_operator_is_named(client, path, settings, db):
    assert "This page is a draft" in client.get(path).content.decode()
    settings.OPERATOR_NAME, settings.OPERATOR_EMAIL = "Example Ltd", "legal@example.com"
    settings.OPERATOR_ADDRESS = "1 Example Street\nExampleton"
    html = client.get(path).content.decode()
    assert "This page is a draft" not in html
    assert "Example Ltd" in html
    assert 'href="mailto:legal@example.com"' in html
    assert "1 Example Street<br>Exampleton" in html


def test_the_cookies_that_are_set_are_listed(client, user, settings):
    documented = set(re.findall(r'<th scope="row"><code>([^<]+)</code>', client.get("/cookies").content.decode()))
    client.get("/accounts/login/")
    client.post("/accounts/login/", {"login": user.email, "password": "correct horse battery staple"})
    client.post("/language", {"language": "ar", "next": "/"})
    client.get("/profile")
    assert {settings.SESSION_COOKIE_NAME, settings.LANGUAGE_COOKIE_NAME} <= set(client.cookies)
    assert set(client.cookies) <= documented


def test_robots_may_read_what_is_public(client):
    response = client.get("/robots.txt")
    assert response.headers["Content-Type"].startswith("text/plain")
    lines = response.content.decode().splitlines()
    assert {"User-agent: *", "Disallow: /profile", "Disallow: /admin/"} <= set(lines)
    assert "Sitemap: http://testserver/sitemap.xml" in lines
    assert client.post("/robots.txt").status_code == 405


def test_the_sitemap_lists_pages_that_open_and_robots_may_read(client, db):
    addresses = re.findall(r"<loc>([^<]+)</loc>", client.get("/sitemap.xml").content.decode())
    assert {"http://testserver/docs", "http://testserver/docs/errors", "http://testserver/pricing"} <= set(addresses)
    forbidden = re.findall(r"Disallow: (.+)", client.get("/robots.txt").content.decode())
    for address in addresses:
        path = address.removeprefix("http://testserver")
        assert not path.startswith(tuple(forbidden))
        assert client.get(path, follow=True).status_code == 200


def test_a_link_shows_title_and_image_on_other_sites(client, db):
    html = client.get("/docs/errors").content.decode()
    properties = dict(re.findall(r'<meta property="og:(\w+)" content="([^"]*)">', html))
    assert properties["title"] == "Errors"
    assert properties["url"] == "http://testserver/docs/errors"
    assert properties["site_name"] == "Offcut"
    assert client.get(properties["image"]).headers["Content-Type"] == "image/jpeg"
    assert properties["description"].startswith("Every error")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_missing_page_shows_a_way_on_and_the_request_id(client, language, db):
    response = client.get("/nothing-here", headers={"X-Request-Id": ID, "Accept-Language": language})
    html = response.content.decode()
    assert response.status_code == 404
    assert f'lang="{language}"' in html
    assert ID in html
    assert f'href="{reverse("docs")}"' in html


def test_a_form_without_its_token_is_shown_as_expired(db):
    response = Client(enforce_csrf_checks=True).post("/accounts/login/", {})
    assert response.status_code == 403
    assert "This form has expired" in response.content.decode()


def test_a_bad_host_is_a_page_in_the_readers_language(client, db):
    response = client.get("/docs", headers={"Host": "evil.example", "Accept-Language": "ar"})
    assert response.status_code == 400
    assert '<html lang="ar" dir="rtl">' in response.content.decode()


def test_api_errors_stay_english_and_json(client, db):
    response = client.get("/api/nothing", headers={"Accept-Language": "ar"})
    assert response.json() == {"error": "Not found.", "code": "not_found", "status": 404}


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_page_of_a_failure_needs_no_database(language):
    """Without the fixture no test may query the database: looking up the visitor's session fails."""
    visitor = Client(raise_request_exception=False)
    visitor.cookies["sessionid"] = "somebody"
    response = visitor.get("/docs", headers={"X-Request-Id": ID, "Accept-Language": language})
    html = response.content.decode()
    assert response.status_code == 500
    assert f'lang="{language}"' in html
    assert ID in html
    assert language == "ar" or "Something went wrong on our side" in html
