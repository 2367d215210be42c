"""System checks for settings that are each valid but do not work together."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any
from unicodedata import category

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from imaging.core.weights.files import missing_rembg
from imaging.core.weights.registry import unaccepted_licence
from lib.brand import MAX_NAME, logo_path
from lib.brand.colours import BadColour, accents
from lib.brand.logo import BadLogo, read_logo
from lib.ops import tracing
from lib.outbound import client


@register(Tags.security, deploy=True)
def check_production(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """`manage.py check --deploy`: settings that are fine on a laptop but not in production."""
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


# Minimum characters of a secret: 192 bits as base64.
MIN_SECRET = 32
# Networks of this machine itself, or of a cloud's metadata service.
_OURSELVES = [ip_network(text) for text in ("127.0.0.0/8", "::1/128", "0.0.0.0/8", "169.254.0.0/16", "fe80::/10")]
# Wider than any network of a single operator: 10.0.0.0/8 is the widest private one, fc00::/7 that of IPv6.
_WIDEST = {4: 8, 6: 7}


@register(Tags.security, deploy=True)
def check_exposure(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """`manage.py check --deploy`: settings that expose a production deployment more than its operator may expect."""
    if not settings.PRODUCTION:
        return []
    return [
        *_open_hosts(),
        *_weak_secrets(),
        *_open_networks(),
        *_switches(),
        *_proxies(),
    ]


def _open_hosts() -> list[CheckMessage]:
    wide = [host for host in settings.ALLOWED_HOSTS if not host.strip(".* ") or "*" in host or _is_suffix(host)]
    origins = [
        origin for origin in settings.CSRF_TRUSTED_ORIGINS if _is_suffix(origin.partition("://")[2].removeprefix("*"))
    ]
    found: list[CheckMessage] = []
    if wide or not settings.ALLOWED_HOSTS:
        shown = ", ".join(wide) or "empty"
        message = f"ALLOWED_HOSTS is {shown}: a caller's Host header decides where links in mails lead. Name the hosts."
        found.append(Error(message, id="config.E010"))
    if origins:
        message = f"CSRF_TRUSTED_ORIGINS has {', '.join(origins)}: other sites can send our forms. Name the origins."
        found.append(Error(message, id="config.E018"))
    return found


def _is_suffix(host: str) -> bool:
    """Whether it matches all hosts under a top-level domain, or all hosts."""
    return (host.startswith(".") and "." not in host.strip(".")) or host in ("", "*")


def _weak_secrets() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    secrets = {"SECRET_KEY": settings.SECRET_KEY, "API_KEY_PEPPER": settings.API_KEY_PEPPER}
    if settings.METRICS_TOKEN:
        secrets["METRICS_TOKEN"] = settings.METRICS_TOKEN
    weak = [name for name, text in secrets.items() if len(text) < MIN_SECRET or len(set(text)) < MIN_SECRET // 4]
    if weak:
        message = (
            f"{', '.join(weak)} can be guessed: at least {MIN_SECRET} random characters, such as secrets.token_urlsafe(48)."
        )
        found.append(Error(message, id="config.E011"))
    if len(set(secrets.values())) < len(secrets):
        message = f"{', '.join(secrets)} must differ: one that leaks would reveal the others."
        found.append(Error(message, id="config.E019"))
    return found


def _open_networks() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    wide = [str(network) for network in settings.METRICS_NETWORKS if network.prefixlen < _WIDEST[network.version]]
    if wide:
        found.append(Error(f"METRICS_NETWORKS has {', '.join(wide)}: anyone can read /metrics.", id="config.E012"))
    ours = [
        str(network)
        for network in settings.OUTBOUND_ALLOWED_NETWORKS
        if any(network.version == own.version and network.overlaps(own) for own in _OURSELVES)
    ]
    if ours:
        message = (
            f"OUTBOUND_ALLOWED_NETWORKS has {', '.join(ours)}: customers could make this server call itself, "
            "and the cloud's metadata service."
        )
        found.append(Error(message, id="config.E016"))
    return found


def _switches() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not settings.RATE_LIMIT_ENABLED:
        found.append(Error("RATE_LIMIT_ENABLED=0 is for load tests: one caller can take every slot.", id="config.E013"))
    if settings.DEMO:
        found.append(Error("DEMO=1 creates an account whose key is printed to the log.", id="config.E014"))
    if settings.DEBUG:
        found.append(Error("DEBUG=1 shows settings and source code to anyone.", id="config.E015"))
    return found


def _proxies() -> list[CheckMessage]:
    if settings.TRUSTED_PROXY_COUNT:
        return []
    found: list[CheckMessage] = []
    if settings.WEB_BIND.startswith(("unix:", "fd:")):
        message = (
            f"WEB_BIND={settings.WEB_BIND} has a proxy in front: set TRUSTED_PROXY_COUNT, or all callers share one limit."
        )
        found.append(Error(message, id="config.E017"))
    if getattr(settings, "SECURE_PROXY_SSL_HEADER", None):
        message = "TRUST_X_FORWARDED_PROTO=1 with TRUSTED_PROXY_COUNT=0: any caller can claim that plain HTTP was HTTPS."
        found.append(Warning(message, id="config.W011"))
    return found


@register()
def check_web_processes(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Several web processes need a shared store for limits."""
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
    """Payments are credited only if Stripe's webhook events arrive, too."""
    if bool(settings.STRIPE_SECRET_KEY) != bool(settings.STRIPE_WEBHOOK_SECRET):
        message = (
            "Set both STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET, or neither: without webhooks, payments add no credits."
        )
        return [Error(message, id="config.E005")]
    if settings.PRODUCTION and "_test_" in settings.STRIPE_SECRET_KEY:
        return [Warning("STRIPE_SECRET_KEY is a test key: payments use no real money.", id="config.W002")]
    return []


@register()
def check_log_in_providers(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A provider needs all of its settings."""
    found: list[CheckMessage] = []
    for names in (
        ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
        ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"),
        ("OPENID_SERVER_URL", "OPENID_CLIENT_ID", "OPENID_CLIENT_SECRET"),
    ):
        missing = [name for name in names if not getattr(settings, name)]
        if missing and len(missing) < len(names):
            message = f"Set {', '.join(missing)}, too, or none of {', '.join(names)}: log-in with that provider is off."
            found.append(Error(message, id="config.E030"))
    if settings.OPENID_SERVER_URL:
        found += _server_url()
    return found


def _server_url() -> list[CheckMessage]:
    try:
        scheme = client.parse(settings.OPENID_SERVER_URL, range(1, 65536)).scheme
    except client.OutboundError as error:
        return [Error(f"OPENID_SERVER_URL cannot be used: {error.reason}.", id="config.E031")]
    if scheme == "http" and settings.PRODUCTION:
        message = "OPENID_SERVER_URL is not https: the provider's keys and our secret can be read and changed on the way."
        return [Warning(message, id="config.W030")]
    return []


@register()
def check_outbound(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Customers can reach whatever we can reach."""
    if settings.PRODUCTION and settings.OUTBOUND_ALLOWED_NETWORKS:
        allowed = ", ".join(str(network) for network in settings.OUTBOUND_ALLOWED_NETWORKS)
        message = f"OUTBOUND_ALLOWED_NETWORKS lets every customer make this server connect to {allowed}."
        return [Warning(message, id="config.W003")]
    return []


@register()
def check_tracing(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Tracing needs optional packages."""
    if not tracing.is_on() or tracing.is_installed():
        return []
    message = "OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry: pip install -r requirements-otel.txt"
    return [Error(message, id="config.E007")]


@register()
def check_models(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Some models need extra packages, some a licence that the operator has to accept."""
    found: list[CheckMessage] = []
    for name in settings.IMAGING_MODELS:
        if problem := missing_rembg(name):
            found.append(Error(f"IMAGING_MODELS: {problem}.", id="config.E008"))
        if problem := unaccepted_licence(name, settings.IMAGING_ACCEPTED_LICENCES):
            found.append(Error(f"IMAGING_MODELS: {problem}.", id="config.E009"))
    return found


@register()
def check_executor(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Images reach workers through the broker and Redis."""
    if settings.IMAGING_EXECUTOR != "celery":
        return []
    missing = [name for name in ("CELERY_BROKER_URL", "REDIS_URL") if not getattr(settings, name)]
    message = f"IMAGING_EXECUTOR=celery needs {' and '.join(missing)}: images reach the workers through both."
    if missing:
        return [Error(message, id="config.E006")]
    if settings.IMAGING_HANDOVER == "storage" and settings.PRODUCTION and not settings.S3_BUCKET:
        message = "IMAGING_HANDOVER=storage without S3_BUCKET: web processes and workers have to share the folder VAR_DIR."
        return [Warning(message, id="config.W004")]
    return []


# Unicode's categories of control characters, line ends and halves of characters. A mail's header cannot have them.
_NOT_IN_A_LINE = ("Cc", "Cs", "Zl", "Zp")


@register()
def check_brand(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every page and mail shows the brand."""
    found: list[CheckMessage] = []
    name = settings.SITE_NAME
    if not 0 < len(name) <= MAX_NAME or any(category(character) in _NOT_IN_A_LINE for character in name):
        message = f"SITE_NAME must have 1 to {MAX_NAME} characters, all in one line, got {name!r}."
        found.append(Error(message, id="config.E020"))
    try:
        read_logo(logo_path(settings.SITE_LOGO))
    except BadLogo as error:
        found.append(Error(f"SITE_LOGO: {error}.", id="config.E021"))
    try:
        if settings.SITE_COLOR:
            accents(settings.SITE_COLOR)
    except BadColour as error:
        found.append(Error(f"SITE_COLOR: {error}.", id="config.E022"))
    try:
        if settings.SITE_SUPPORT_EMAIL:
            validate_email(settings.SITE_SUPPORT_EMAIL)
    except ValidationError:
        message = f"SITE_SUPPORT_EMAIL (or OPERATOR_EMAIL, if that is unset) is no address: {settings.SITE_SUPPORT_EMAIL!r}."
        found.append(Error(message, id="config.E023"))
    return found
