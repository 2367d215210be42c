"""No page takes files: none is written to disk, and almost nothing of one is read."""

import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from tests.imaging.removal.test_upload import BOUNDARY, MEGABYTE, Stream

pytestmark = pytest.mark.django_db

MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
FIELD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="next"\r\n\r\n/\r\n'.encode()
FILE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n'.encode()
# Some of them redirect to the log-in, but only after the CSRF check.
PAGES = [
    "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/accounts/logout/", "/language", "/admin/login/",
    "/admin/", "/admin/billing/account/search/", "/profile", "/profile/keys", "/billing/checkout", "/nowhere/at/all",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_disk(settings, tmp_path, monkeypatch) -> Iterator[None]:
    """A folder for temporary files that cannot be written to because it does not exist."""
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "missing")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    yield
    assert list(tmp_path.iterdir()) == []


def upload(head: bytes = FIELD + FILE, size: int = 64 * MEGABYTE) -> Stream:
    chunks = (b"x" * 65_536 for _ in range(size // 65_536))
    return Stream(iter([head, *chunks]))


def post(browser: Client, path: str, stream: Stream, method: str = "POST"):
    # The form is only read if the request has the cookie that every page sets.
    browser.cookies["csrftoken"] = "a" * 32
    options: dict[str, Any] = {"wsgi.input": stream, "CONTENT_LENGTH": str(100 * MEGABYTE)}
    return browser.generic(method, path, b"x", MULTIPART, **options)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("head", [FIELD + FILE, FILE], ids=["behind a field", "first"])
def test_an_anonymous_form_with_a_file_is_refused_at_once(path, head):
    stream = upload(head)
    response = post(Client(enforce_csrf_checks=True), path, stream)
    assert response.status_code in (400, 404)
    if path != "/nowhere/at/all":
        assert response.status_code == 400
        assert "We could not read this request" in response.content.decode()
    assert stream.served < MEGABYTE


@pytest.mark.parametrize("path", [*PAGES, "/admin/accounts/user/", "/admin/billing/plan/add/", "/batches"])
def test_so_is_that_of_a_logged_in_user(path):
    root = User.objects.create_superuser("root@example.com", "correct horse battery staple")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(root)
    stream = upload()
    assert post(browser, path, stream).status_code in (400, 404)
    assert stream.served < MEGABYTE


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/accounts/login/", "/admin/login/", "/profile", "/api/user-token"])
def test_other_methods_read_no_form_at_all(client, user, method, path):
    client.force_login(user)
    stream = upload()
    assert post(client, path, stream, method).status_code < 500
    assert stream.served < MEGABYTE


@pytest.mark.parametrize("path", ["/api/user-token", "/api/membership-usage", "/api/stripe/webhook", "/api/openapi"])
def test_the_api_answers_with_its_json(user, path):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    stream = upload()
    response = post(browser, path, stream)
    assert response.status_code in (400, 401, 403, 404, 405, 413)
    if path != "/api/stripe/webhook":
        assert response.json()["status"] == response.status_code
    assert stream.served < MEGABYTE


def test_a_form_of_text_alone_works_as_a_multipart_one_too(client, user):
    form = {"login": user.email, "password": "correct horse battery staple"}
    assert client.post("/accounts/login/", form).status_code == 302


def test_a_file_field_that_was_left_empty_is_no_file(client):
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename=""\r\n\r\n\r\n', f"--{BOUNDARY}--\r\n"]
    response = client.post("/accounts/login/", "".join(parts).encode(), content_type=MULTIPART)
    assert response.status_code == 200
