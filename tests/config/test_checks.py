"""System checks: settings that each parse but do not work together."""

from ipaddress import IPv4Network

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from config import tracing


def ids(deploy: bool = True) -> set[str]:
    return {
        message.id
        for message in run_checks(include_deployment_checks=deploy)
        if message.id and message.id.startswith("config.")
    }


def test_a_laptop_is_told_that_it_is_one():
    assert ids() == {"config.W001"}
    assert ids(deploy=False) == set()


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


@pytest.mark.parametrize(("broker", "redis"), [("", ""), ("amqp://broker//", ""), ("", "redis://redis/0")])
def test_workers_for_pictures_need_broker_and_redis(settings, broker, redis):
    settings.CELERY_BROKER_URL, settings.REDIS_URL = broker, redis
    assert ids(deploy=False) == set()
    settings.IMAGING_EXECUTOR = "celery"
    assert ids(deploy=False) == {"config.E006"}


def test_workers_for_pictures_with_both(settings):
    settings.CELERY_BROKER_URL, settings.REDIS_URL = "amqp://broker//", "redis://redis/0"
    settings.IMAGING_EXECUTOR = "celery"
    assert ids(deploy=False) == set()


def test_pictures_in_a_folder_on_the_way_to_workers_are_warned_of(settings):
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
