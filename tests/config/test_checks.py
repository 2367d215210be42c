"""System checks: settings that parse separately but do not work together."""

import os
import subprocess
import sys
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from imaging.core.weights import files as weight_files
from imaging.core.weights.serving import CannotServe
from imaging.executor import runtime
from lib.ops import tracing

ROOT = Path(__file__).resolve().parent.parent.parent


def ids(deploy: bool = True) -> set[str]:
    return {
        message.id
        for message in run_checks(include_deployment_checks=deploy)
        if message.id and message.id.startswith("config.")
    }


def test_a_laptop_gets_one_warning():
    assert ids() == {"config.W001"}
    assert ids(deploy=False) == set()


@pytest.fixture
def production(settings):
    """A deployment without any warning."""
    settings.PRODUCTION = True
    settings.ALLOWED_HOSTS = ["cutouts.example.com", "web"]
    settings.SECRET_KEY, settings.API_KEY_PEPPER = token_urlsafe(48), token_urlsafe(48)
    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    return settings


# The tests' database may be SQLite.
OF_THE_TESTS = {"config.E003"}
OPEN: dict[str, list[dict[str, Any]]] = {
    "config.E010": [
        {"ALLOWED_HOSTS": ["*"]}, {"ALLOWED_HOSTS": ["example.com", "*"]}, {"ALLOWED_HOSTS": [""]}, {"ALLOWED_HOSTS": ["."]},
        {"ALLOWED_HOSTS": [".com"]}, {"ALLOWED_HOSTS": ["*.example.com"]}, {"ALLOWED_HOSTS": []},
    ],
    "config.E011": [
        {"API_KEY_PEPPER": "x"}, {"SECRET_KEY": "short"}, {"METRICS_TOKEN": "a"}, {"API_KEY_PEPPER": "a" * 64},
    ],
    "config.E012": [
        {"METRICS_NETWORKS": [ip_network("0.0.0.0/0")]}, {"METRICS_NETWORKS": [ip_network("::/0")]},
        {"METRICS_NETWORKS": [ip_network("0.0.0.0/1"), ip_network("128.0.0.0/1")]},
    ],
    "config.E013": [{"RATE_LIMIT_ENABLED": False}],
    "config.E014": [{"DEMO": True}],
    "config.E015": [{"DEBUG": True}],
    "config.E016": [
        {"OUTBOUND_ALLOWED_NETWORKS": [ip_network(network)]}
        for network in ("0.0.0.0/0", "127.0.0.1/32", "169.254.169.254/32", "::1/128", "fe80::/64", "::/0")
    ],
    "config.E017": [{"WEB_BIND": "unix:/run/web.sock"}],
    "config.E018": [{"CSRF_TRUSTED_ORIGINS": ["https://*"]}, {"CSRF_TRUSTED_ORIGINS": ["https://*.com"]}],
    "config.W011": [{"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}],
}  # fmt: skip


@pytest.mark.parametrize(("found", "changed"), [(found, one) for found, all_ in OPEN.items() for one in all_])
def test_what_opens_a_deployment_is_reported(production, found, changed):
    for name, value in changed.items():
        setattr(production, name, value)
    assert found in ids()
    assert ids() - {"config.W003", *OF_THE_TESTS} == {found}
    assert found not in ids(deploy=False)


def test_a_deployment_that_is_closed_is_silent(production):
    production.METRICS_TOKEN = token_urlsafe(48)
    production.METRICS_NETWORKS = [ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8"), ip_network("fc00::/7")]
    production.CSRF_TRUSTED_ORIGINS = ["https://cutouts.example.com", "https://*.example.com"]
    production.ALLOWED_HOSTS = [".example.com"]
    assert ids() <= OF_THE_TESTS


def test_secrets_must_differ(production):
    production.SECRET_KEY = production.API_KEY_PEPPER
    assert ids() - OF_THE_TESTS == {"config.E019"}


def test_a_laptop_may_do_all_of_it(settings):
    settings.ALLOWED_HOSTS, settings.DEMO, settings.RATE_LIMIT_ENABLED = ["*"], True, False
    assert ids() == {"config.W001"}


def test_check_deploy_refuses_the_lot():
    """As an operator runs it, with all of these settings at once."""
    good = {
        "PRODUCTION": "1", "EMAIL_URL": "smtp://localhost:25", "DATABASE_URL": "postgres://app@localhost:5432/app",
        "REDIS_URL": "redis://localhost:6379/0", "ALLOWED_HOSTS": "example.com", "SECRET_KEY": token_urlsafe(64),
        "API_KEY_PEPPER": token_urlsafe(64),
    }  # fmt: skip
    bad = {
        "ALLOWED_HOSTS": "*", "API_KEY_PEPPER": "x", "METRICS_TOKEN": "a", "METRICS_NETWORKS": "0.0.0.0/0",
        "RATE_LIMIT_ENABLED": "0", "DEMO": "1",
    }  # fmt: skip
    # Without a variable that the tests set and Django has a check for.
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]

    def check(**environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True)

    refused = check(**good | bad)
    assert refused.returncode == 1
    for number in range(10, 15):
        assert f"config.E0{number}" in refused.stderr
    accepted = check(**good)
    assert (accepted.returncode, accepted.stderr) == (0, ""), accepted.stderr


def test_production_needs_mail_cache_and_database(settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    settings.PRODUCTION = True
    settings.REDIS_URL = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert ids() == {"config.E001", "config.E002", "config.E003"}


@pytest.mark.parametrize(("redis_url", "expected"), [("", {"config.E004"}), ("redis://127.0.0.1:6379/", set())])
def test_several_processes_need_a_shared_place_for_limits(settings, redis_url, expected):
    settings.WEB_PROCESSES = 2
    settings.REDIS_URL = redis_url
    assert ids(deploy=False) == expected


@pytest.mark.parametrize(
    ("key", "webhook", "expected"),
    [("", "", set()), ("sk_live_1", "whsec_1", set()), ("sk_live_1", "", {"config.E005"}), ("", "whsec_1", {"config.E005"})],
)
def test_stripe_needs_both_secrets(settings, key, webhook, expected):
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = key, webhook
    assert ids(deploy=False) == expected


def test_production_with_test_keys_is_warned(settings):
    settings.PRODUCTION, settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = True, "sk_test_1", "whsec_1"
    assert ids(deploy=False) == {"config.W002"}


def test_production_that_lets_customers_reach_private_networks_is_warned(settings):
    settings.OUTBOUND_ALLOWED_NETWORKS = [IPv4Network("10.1.0.0/16")]
    assert ids(deploy=False) == set()
    settings.PRODUCTION = True
    assert ids(deploy=False) == {"config.W003"}


def test_other_models_need_rembg(settings, monkeypatch):
    settings.IMAGING_MODELS = ["silueta"]
    assert ids(deploy=False) == set()
    monkeypatch.setattr(weight_files, "find_spec", lambda name: None)
    assert ids(deploy=False) == {"config.E008"}
    with pytest.raises(CannotServe, match="IMAGING_MODELS: silueta needs rembg"):
        runtime._load("silueta")
    settings.IMAGING_MODELS = ["u2net"]
    assert ids(deploy=False) == set()


@pytest.mark.parametrize(("broker", "redis"), [("", ""), ("amqp://broker//", ""), ("", "redis://redis/0")])
def test_workers_for_images_need_broker_and_redis(settings, broker, redis):
    settings.CELERY_BROKER_URL, settings.REDIS_URL = broker, redis
    assert ids(deploy=False) == set()
    settings.IMAGING_EXECUTOR = "celery"
    assert ids(deploy=False) == {"config.E006"}


def test_workers_for_images_with_both(settings):
    settings.CELERY_BROKER_URL, settings.REDIS_URL = "amqp://broker//", "redis://redis/0"
    settings.IMAGING_EXECUTOR = "celery"
    assert ids(deploy=False) == set()


def test_sharing_images_with_workers_through_a_folder_is_warned_of(settings):
    settings.CELERY_BROKER_URL, settings.REDIS_URL = "amqp://broker//", "redis://redis/0"
    settings.IMAGING_EXECUTOR, settings.IMAGING_HANDOVER, settings.PRODUCTION = "celery", "storage", True
    assert ids(deploy=False) == {"config.W004"}
    settings.S3_BUCKET = "pictures"
    assert ids(deploy=False) == set()


def test_traces_need_their_packages(settings, monkeypatch):
    tracing._start.cache_clear()
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    assert ids(deploy=False) == set()
    monkeypatch.setattr(tracing, "find_spec", lambda name: None)
    assert ids(deploy=False) == {"config.E007"}
    with pytest.raises(ImproperlyConfigured, match=r"requirements-otel\.txt"):
        tracing.start()
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = ""
    assert ids(deploy=False) == set()
    tracing.start()


BAD_BRANDS = {
    "config.E020": [
        {"SITE_NAME": ""},
        {"SITE_NAME": "x" * 41},
        {"SITE_NAME": "A\nBcc: b@example.com"},
        {"SITE_NAME": "a\x7f"},
    ],
    "config.E021": [{"SITE_LOGO": "/nowhere/logo.svg"}, {"SITE_LOGO": __file__}, {"SITE_LOGO": "/"}],
    "config.E022": [{"SITE_COLOR": "red"}, {"SITE_COLOR": "#12"}, {"SITE_COLOR": "#fff;}"}],
    "config.E023": [{"SITE_SUPPORT_EMAIL": "support"}, {"SITE_SUPPORT_EMAIL": "a@example.com, b@example.com"}],
}


@pytest.mark.parametrize(("expected", "values"), [(id, values) for id, several in BAD_BRANDS.items() for values in several])
def test_a_brand_that_cannot_be_shown_is_refused(settings, expected, values):
    for name, value in values.items():
        setattr(settings, name, value)
    assert ids(deploy=False) == {expected}


@pytest.mark.parametrize("name", ["Offcut", "x" * 40, "قصاصات الصور", "نیم‌فاصله", "切り抜き", "A & B <c>"])
def test_a_name_in_any_script_is_accepted(settings, name):
    settings.SITE_NAME, settings.SITE_COLOR, settings.SITE_SUPPORT_EMAIL = name, "e11d48", "help@example.com"
    assert ids(deploy=False) == set()


def evaluated(expression: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """An expression about the settings, in a process with these variables."""
    code = f"from config import settings; print({expression})"
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=inherited | environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("given", "sender"),
    [
        ("", None),
        ("noreply@example.com", '"Acme" <noreply@example.com>'),
        ("Cutouts <noreply@example.com>", '"Cutouts" <noreply@example.com>'),
    ],
)
def test_mails_come_from_the_site_unless_the_sender_has_a_name(given, sender):
    done = evaluated("settings.DEFAULT_FROM_EMAIL", DEFAULT_FROM_EMAIL=given, SITE_NAME="Acme")
    if sender is None:
        assert "DEFAULT_FROM_EMAIL must be an address" in done.stderr
    else:
        assert done.stdout.strip() == sender


def test_authenticator_apps_and_the_openapi_document_show_the_name():
    named = "settings.MFA_TOTP_ISSUER, settings.SPECTACULAR_SETTINGS['TITLE'], settings.SPECTACULAR_SETTINGS['CONTACT']"
    brand = {"SITE_NAME": "Acme", "SITE_SUPPORT_EMAIL": "help@example.com", "PUBLIC_URL": "https://example.com"}
    contact = {"name": "Acme", "url": "https://example.com", "email": "help@example.com"}
    assert evaluated(f"({named})", **brand).stdout.strip() == str(("Acme", "Acme API", contact))


def test_customers_write_to_the_operator_unless_there_is_a_support_address():
    operator = {"OPERATOR_EMAIL": "legal@example.com"}
    assert evaluated("settings.SITE_SUPPORT_EMAIL", **operator).stdout.strip() == "legal@example.com"
    done = evaluated("settings.SITE_SUPPORT_EMAIL", SITE_SUPPORT_EMAIL="help@example.com", **operator)
    assert done.stdout.strip() == "help@example.com"


OPENID = {
    "OPENID_SERVER_URL": "https://id.example.com", "OPENID_CLIENT_ID": "cutouts", "OPENID_CLIENT_SECRET": "secret",
}  # fmt: skip
PROVIDERS: list[tuple[dict[str, str], set[str]]] = [
    ({"GOOGLE_CLIENT_ID": "id"}, {"config.E030"}),
    ({"GOOGLE_CLIENT_SECRET": "secret"}, {"config.E030"}),
    ({"GITHUB_CLIENT_ID": "id"}, {"config.E030"}),
    ({"GITHUB_CLIENT_ID": "id", "GITHUB_CLIENT_SECRET": "secret"}, set()),
    ({"OPENID_SERVER_URL": "https://id.example.com"}, {"config.E030"}),
    (OPENID | {"OPENID_CLIENT_SECRET": ""}, {"config.E030"}),
    (OPENID, set()),
    (OPENID | {"OPENID_SERVER_URL": "id.example.com"}, {"config.E031"}),
    (OPENID | {"OPENID_SERVER_URL": "https://user@id.example.com"}, {"config.E031"}),
    (OPENID | {"OPENID_SERVER_URL": "http://id.example.com:8080/realms/one"}, set()),
]


@pytest.mark.parametrize(("changed", "found"), PROVIDERS)
def test_a_log_in_provider_needs_all_of_its_settings(settings, changed, found):
    for name, value in changed.items():
        setattr(settings, name, value)
    assert ids(deploy=False) == found


def test_in_production_a_provider_without_tls_is_reported(production):
    for name, value in (OPENID | {"OPENID_SERVER_URL": "http://id.example.com"}).items():
        setattr(production, name, value)
    assert ids() - OF_THE_TESTS == {"config.W030"}


def test_the_environment_alone_switches_providers_on():
    code = "from django.conf import settings; print(settings.SOCIALACCOUNT_PROVIDERS)"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    google = {"GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "secret"}
    environments: tuple[dict[str, str], ...] = ({}, google, OPENID | {"GITHUB_CLIENT_ID": "half"})
    printed = [
        subprocess.run(command, cwd=ROOT, env=os.environ | more, capture_output=True, text=True, check=False).stdout
        for more in environments
    ]
    assert printed[0].strip() == "{}"
    assert ("Google" in printed[1], "https://accounts.google.com" in printed[1], "github" in printed[1]) == (
        True,
        True,
        False,
    )
    assert ("'id.example.com'" in printed[2], "github" in printed[2]) == (True, False)
