"""Combinations of settings that each parse well but do not work together, found at start-up."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from config import tracing


@register(Tags.security, deploy=True)
def check_production(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """`manage.py check --deploy`: what a laptop may do and a production deployment may not."""
    if not settings.PRODUCTION:
        return [Warning("PRODUCTION is not set: this is a laptop's configuration.", id="config.W001")]
    found: list[CheckMessage] = []
    if settings.EMAIL_BACKEND == "django.core.mail.backends.console.EmailBackend":
        found.append(
            Error(
                "Mails are printed to the console: customers could not verify their address. Set EMAIL_URL.",
                id="config.E001",
            )
        )
    if not settings.REDIS_URL:
        found.append(Error("Rate limits in memory are per process. Set REDIS_URL.", id="config.E002"))
    if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
        found.append(Error("SQLite serves one machine only. Set DATABASE_URL.", id="config.E003"))
    return found


@register()
def check_web_processes(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Several web processes need a shared place for limits."""
    if settings.WEB_PROCESSES > 1 and not settings.REDIS_URL:
        return [
            Error(
                f"WEB_PROCESSES={settings.WEB_PROCESSES} needs REDIS_URL: limits in memory would be counted per process.",
                id="config.E004",
            )
        ]
    return []


@register()
def check_stripe(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Money comes in only if its news does, too."""
    if bool(settings.STRIPE_SECRET_KEY) != bool(settings.STRIPE_WEBHOOK_SECRET):
        message = "Set both STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET, or neither: paying without webhooks credits nobody."
        return [Error(message, id="config.E005")]
    if settings.PRODUCTION and "_test_" in settings.STRIPE_SECRET_KEY:
        return [Warning("STRIPE_SECRET_KEY is a test key: nobody pays with real money.", id="config.W002")]
    return []


@register()
def check_outbound(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Customers reach what we reach."""
    if settings.PRODUCTION and settings.OUTBOUND_ALLOWED_NETWORKS:
        allowed = ", ".join(str(network) for network in settings.OUTBOUND_ALLOWED_NETWORKS)
        message = f"OUTBOUND_ALLOWED_NETWORKS lets every customer make this server connect to {allowed}."
        return [Warning(message, id="config.W003")]
    return []


@register()
def check_tracing(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Traces need packages that the rest does not."""
    if not tracing.is_on() or tracing.is_installed():
        return []
    message = "OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry: pip install -r requirements-otel.txt"
    return [Error(message, id="config.E007")]


@register()
def check_executor(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Pictures reach workers through the broker and Redis."""
    if settings.IMAGING_EXECUTOR != "celery":
        return []
    missing = [name for name in ("CELERY_BROKER_URL", "REDIS_URL") if not getattr(settings, name)]
    message = f"IMAGING_EXECUTOR=celery needs {' and '.join(missing)}: pictures reach the workers through both."
    if missing:
        return [Error(message, id="config.E006")]
    if settings.IMAGING_HANDOVER == "storage" and settings.PRODUCTION and not settings.S3_BUCKET:
        message = "IMAGING_HANDOVER=storage without S3_BUCKET: web processes and workers have to share the folder VAR_DIR."
        return [Warning(message, id="config.W004")]
    return []
