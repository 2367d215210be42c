"""`/docs`: every page exists in both languages, and matches what the code does."""

import json
import re
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import ApiKey
from billing.models import Plan
from imaging.removal import openapi as imaging_schema
from lib.web import catalogue
from tests.lib.web.raised_codes import ROOT, raised_in
from website import error_guide
from website.documentation import PAGES

pytestmark = pytest.mark.django_db

PATHS = [page.url for page in PAGES]
# Every error that a caller of /rmbg or /api/membership-usage can get is raised in these.
RAISING = [
    *sorted(ROOT.glob("imaging/**/*.py")),
    *(ROOT / "accounts/authentication.py", ROOT / "lib/web/rate_limits.py", ROOT / "billing/membership/usage.py"),
    *sorted(ROOT.glob("billing/credits/*.py")),
]
# Raised in the same files, but only for staff.
FOR_STAFF = {"reason_required", "balance_too_low", "forbidden"}
# For callers who have disconnected and cannot read it.
UNREAD = {"caller_gone"}


def text_of(response) -> str:
    return unescape(response.content.decode())


def names_in(html: str, table: str) -> set[str]:
    """The codes in the first column of a table."""
    body = html.split(f'<table class="doc-table" {table}')[1].split("</table>")[0]
    return set(re.findall(r'<th scope="row"><code>([^<]+)</code>', body))


@pytest.fixture
def document(client: Client) -> dict:
    return json.loads(client.get("/api/openapi?format=json").content)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("path", PATHS)
def test_a_page_opens_for_everyone(client, path, language, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        response = client.get(path, headers={"Accept-Language": language})
    assert response.status_code == 200
    assert f'lang="{language}"' in response.content.decode()


@pytest.mark.parametrize("path", PATHS)
def test_a_signed_in_reader_sees_the_prefix_of_the_newest_live_key(client, user, path, django_assert_max_num_queries):
    old = ApiKey.objects.issue(user, name="old")[0]
    ApiKey.objects.issue(user, name="revoked")[0].revoke()
    new = ApiKey.objects.issue(user, name="new")[0]
    client.force_login(user)
    with django_assert_max_num_queries(12):
        html = client.get(path).content.decode()
    if "data-your-key" in html:
        assert f'data-prefixes="{new.prefix} {old.prefix}"' in html


def test_without_a_key_the_reader_is_shown_where_to_make_one(client, user):
    assert "Log in" in text_of(client.get("/docs"))
    client.force_login(user)
    assert "You have no live key yet" in text_of(client.get("/docs"))


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/", "/docs/Quick-Start"])
def test_an_unknown_page_is_not_found(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_only_read(client, path):
    assert client.post(path).status_code == 405
    assert client.head(path).status_code == 200


@pytest.mark.parametrize("page", PAGES, ids=PATHS)
def test_every_section_of_the_menu_is_on_its_page_once(client, page):
    html = client.get(page.url).content.decode()
    assert re.findall(r'<h2 id="([^"]+)"', html) == list(page.sections)
    ids = re.findall(r'\sid="([^"]+)"', re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL))
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", PATHS)
def test_links_within_the_site_lead_somewhere(client, path):
    html = client.get(path).content.decode()
    for link in {unescape(link) for link in re.findall(r'href="(/[^"]*)"', html) if not link.startswith("/static/")}:
        answer = client.get(link.partition("#")[0])
        assert answer.status_code in (200, 302), link
        anchor = link.partition("#")[2]
        assert not anchor or f'id="{anchor}"' in answer.content.decode(), link


def test_samples_carry_the_address_of_the_deployment(client):
    html = client.get("/docs/samples", headers={"Host": "localhost:9999"}).content.decode()
    assert "http://localhost:9999/rmbg" in html
    assert "Host: localhost:9999" in re.sub("<[^>]+>", "", html)
    assert "api.example.com" not in html


def test_the_fields_are_those_of_the_schema(client, document):
    form = document["paths"]["/rmbg"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    html = client.get("/docs/rmbg").content.decode()
    rows = html.split("data-fields")[1].split("</table>")[0]
    defaults = dict(re.findall(r"<code>(\w+)</code><small>.*?</th><td>(?:<code>)?([^<]*)", rows))
    assert set(defaults) == set(form["properties"])
    for name, field in form["properties"].items():
        if "default" in field and name not in ("w", "h"):
            assert defaults[name] == str(field["default"]).lower()


def test_the_fields_of_batches_are_those_of_the_schema(client, document):
    form = document["paths"]["/api/batches"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    options = document["paths"]["/rmbg"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    own = {name for name in form["properties"] if name not in options or name.startswith("image")}
    assert names_in(client.get("/docs/batches").content.decode(), "data-fields") == own
    assert set(form["properties"]) - own == set(options) - {"image", "image_url", "return_base64"}


def test_the_response_headers_are_those_of_the_schema(client, document):
    responses = document["paths"]["/rmbg"]["post"]["responses"].values()
    described = {name for response in responses for name in response.get("headers", {})}
    documented = names_in(client.get("/docs/rmbg").content.decode(), "data-headers")
    assert documented - {"Content-Type", "Content-Length"} == described


def test_the_parameters_and_fields_of_usage_are_those_of_the_schema(client, document):
    html = client.get("/docs/membership-usage").content.decode()
    operation = document["paths"]["/api/membership-usage"]["get"]
    parameters = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    assert names_in(html, "data-parameters") == parameters
    schemas = document["components"]["schemas"]
    assert names_in(html, "data-answer") == set(schemas["MembershipUsage"]["properties"]) - {"billingCycle"}
    assert names_in(html, "data-cycle") == set(schemas["BillingCycle"]["properties"])


def test_every_error_of_the_document_is_listed_with_its_status_code_and_text(client, document):
    html = text_of(client.get("/docs/errors"))
    batches = [
        operation for path in document["paths"] if "/batches" in path for operation in document["paths"][path].values()
    ]
    operations = [document["paths"]["/rmbg"]["post"], document["paths"]["/api/membership-usage"]["get"], *batches]
    for operation in operations:
        for status, response in operation["responses"].items():
            for example in response.get("content", {}).get("application/json", {}).get("examples", {}).values():
                if int(status) < 400:
                    continue
                row = re.search(
                    rf'<th scope="row">{status}</th>\s*<td><code>{example["value"]["code"]}</code>'
                    rf'<span[^>]*>{re.escape(example["value"]["error"])}</span>', html
                )  # fmt: skip
                assert row, example


def test_every_error_that_the_code_raises_is_listed():
    raised = raised_in(*RAISING).codes - FOR_STAFF - UNREAD
    rows = [*error_guide.rmbg_errors(), *error_guide.batch_errors(), *error_guide.membership_errors()]
    listed = {row.source for row in [*rows, *error_guide.compat_errors()]}
    assert raised <= listed
    assert listed == {code for code, row in catalogue.ROWS.items() if row.advice}


FORMS = [
    {"w": "abc"}, {"w": "-5"}, {"w": "15000"}, {"angle": "ninety"}, {"angle": "500"}, {"format": "gif"},
    {"bg_color": "#12345"}, {"mask": "maybe"}, {"mask": "true", "bg_color": "red"}, {"w": "abc", "angle": "500"},
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_answer_to_a_wrong_field_is_in_the_table(client, small_png, form):
    answer = client.post("/rmbg", {"image": SimpleUploadedFile("a.png", small_png), **form}).json()
    documented = [(error.status, error.code, error.message) for error in imaging_schema.BAD_REQUESTS]
    assert (answer["status"], answer["code"], answer["error"]) in documented


def test_limits_are_those_of_the_plans_and_settings(client, settings):
    Plan.objects.filter(label="Free").update(requests_per_minute=1234, included_credits=4321)
    settings.ANONYMOUS_IMAGES_PER_DAY = 77
    assert "1,234" in text_of(client.get("/docs/limits"))
    assert "4,321" in text_of(client.get("/docs/credits"))
    assert "77 pictures" in text_of(client.get("/docs/limits"))


@pytest.mark.parametrize(("hours", "said"), [(1, "the results 1 hour after"), (3, "the results 3 hours after")])
def test_the_page_on_batches_says_how_long_results_are_kept(client, settings, hours, said):
    settings.BATCH_HOURS = hours
    assert said in text_of(client.get("/docs/batches"))
