"""Cookies and headers of a deployment, as PRODUCTION=1 makes them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from secrets import token_urlsafe

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import json, django
django.setup()
from django.conf import settings
from django.test import Client
answer = Client().get("/healthz", secure=True, headers={"Host": "example.com"})
print(json.dumps({
    "hsts": answer.headers["Strict-Transport-Security"],
    "cookies": [settings.CSRF_COOKIE_HTTPONLY, settings.CSRF_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY,
                settings.SESSION_COOKIE_SECURE],
    "same_site": [settings.CSRF_COOKIE_SAMESITE, settings.SESSION_COOKIE_SAMESITE],
}))
"""


def production(**environment: str) -> dict:
    required = {
        "PRODUCTION": "1", "ALLOWED_HOSTS": "example.com", "SECRET_KEY": token_urlsafe(64), "LOG_LEVEL": "ERROR",
        "API_KEY_PEPPER": token_urlsafe(64), "DJANGO_SETTINGS_MODULE": "config.settings",
    }  # fmt: skip
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | required | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("environment", "hsts"),
    [
        ({}, "max-age=31536000"),
        ({"SECURE_HSTS_INCLUDE_SUBDOMAINS": "1"}, "max-age=31536000; includeSubDomains"),
        (
            {"SECURE_HSTS_INCLUDE_SUBDOMAINS": "1", "SECURE_HSTS_PRELOAD": "1"},
            "max-age=31536000; includeSubDomains; preload",
        ),
    ],
)
def test_what_binds_other_hosts_of_the_domain_is_switched_on_by_its_owner(environment, hsts):
    found = production(**environment)
    assert found["hsts"] == hsts
    assert found["cookies"] == [True] * 4
    assert found["same_site"] == ["Lax", "Lax"]


@pytest.mark.django_db
def test_a_script_cannot_read_the_cookie_of_forms_and_need_not(client):
    response = client.get("/accounts/login/")
    cookie = response.cookies["csrftoken"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert "csrfmiddlewaretoken" in response.content.decode()


@pytest.mark.parametrize("prefix", ["a b", "{x}", "a:b", "a*"])
def test_a_prefix_that_would_not_do_is_refused_at_the_start(prefix):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        production(REDIS_PREFIX=prefix)
    assert "REDIS_PREFIX" in refused.value.stderr
