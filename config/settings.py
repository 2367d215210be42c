"""All settings, read from the environment here and nowhere else. README.md lists them for operators."""

import ipaddress
import os
import re
from email.utils import parseaddr, quote
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp import constants as csp
from django.core.exceptions import ImproperlyConfigured
from pythonjsonlogger.core import RESERVED_ATTRS

from config import __version__
from config.local_secrets import local_secret
from config.log_in_providers import log_in_providers
from lib.ops.database import postgres_options
from lib.ops.redis_client import cache_options

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

# --- What kind of deployment this is --------------------------------------------------------------

# PRODUCTION=1 disables every convenience for laptops: generated secrets, loopback hosts, plain HTTP.
PRODUCTION = env.bool("PRODUCTION", default=False)
DEBUG = env.bool("DEBUG", default=False)
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))


def secret(name: str) -> str:
    """A secret from the environment; on a laptop, one made on first use and kept under var/."""
    value = env.str(name, default="")
    if not value and PRODUCTION:
        raise ImproperlyConfigured(f"{name} must be set when PRODUCTION=1")
    return value or local_secret(VAR_DIR, name.lower())


def at_least(name: str, *, default: int, minimum: int) -> int:
    """A whole number from the environment, rejected at start-up if it is below `minimum`."""
    value: int = env.int(name, default=default)
    if value < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}, got {value}")
    return value


def networks(name: str, *, default: list[str] | None = None) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Comma-separated networks from the environment, such as `10.1.0.0/16`; a single address is a network of one."""
    try:
        return [ipaddress.ip_network(network.strip()) for network in env.list(name, default=default or [])]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be networks, separated by commas: {error}") from error


def one_of(name: str, *choices: str) -> str:
    """One of `choices` from the environment, the first by default; anything else is rejected at start-up."""
    value: str = env.str(name, default=choices[0])
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    return value


SECRET_KEY = secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# API keys are hashed with their own secret, so that rotating SECRET_KEY does not end every customer's key.
API_KEY_PEPPER = secret("API_KEY_PEPPER")

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["127.0.0.1", "localhost", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# This deployment's public URL, for links written outside a request; if empty, those links are paths only.
PUBLIC_URL = env.str("PUBLIC_URL", default="").rstrip("/")

# Make a demo account and print its key once the server is ready, as `make run` does.
DEMO = env.bool("DEMO", default=False)

# --- Who runs it ----------------------------------------------------------------------------------

# The operator named on /privacy and /terms. While it is unset those pages say so.
OPERATOR_NAME = env.str("OPERATOR_NAME", default="")
OPERATOR_EMAIL = env.str("OPERATOR_EMAIL", default="")
OPERATOR_ADDRESS = env.str("OPERATOR_ADDRESS", default="")
# Name and looks of the site: see lib.brand. The logo is a file (SVG, PNG or WebP), the colour is hex; empty: our own.
SITE_NAME = env.str("SITE_NAME", default="").strip() or "Offcut"
SITE_LOGO = env.str("SITE_LOGO", default="")
SITE_COLOR = env.str("SITE_COLOR", default="")
# The address for customers' questions, on pages and in mails; replies to mails go there.
SITE_SUPPORT_EMAIL = env.str("SITE_SUPPORT_EMAIL", default="") or OPERATOR_EMAIL

# --- Applications ---------------------------------------------------------------------------------

INSTALLED_APPS = [
    "accounts.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sitemaps",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "config.apps.ConfigConfig",
    "accounts.apps.AccountsConfig",
    "billing.apps.BillingConfig",
    "imaging.apps.ImagingConfig",
    "website.apps.WebsiteConfig",
]

MIDDLEWARE = [
    "lib.ops.request_id.RequestIdMiddleware",
    "lib.ops.access_log.AccessLogMiddleware",
    "lib.web.texts.UnstorableTextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "website.content_policy.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "lib.web.texts.UnstorableFormMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "lib.web.language.LanguageMiddleware",
    "accounts.page_reads.PageReadsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "lib.web.errors.ApiErrorMiddleware",
]

CSRF_FAILURE_VIEW = "lib.web.errors.csrf_failure"
# Pages accept no files. Endpoints that do have their own parser: see imaging.removal.forms.
FILE_UPLOAD_HANDLERS = ["lib.web.no_files.RefuseFiles"]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "lib.brand.context",
            ],
        },
    },
]

# --- Data -----------------------------------------------------------------------------------------

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets readers continue while one writes; IMMEDIATE takes the write lock at BEGIN, so two transactions that
    # both read and then write queue behind the busy timeout instead of failing with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # Each thread keeps its connection: opening one costs more than a request's queries.
    DATABASES["default"]["CONN_MAX_AGE"] = 60
# Connections per process, shared by all of its threads. The sum for PostgreSQL: docs/capacity.md.
DATABASE_POOL_SIZE = at_least("DATABASE_POOL_SIZE", default=10, minimum=2)
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["default"]["OPTIONS"] = postgres_options(DATABASE_POOL_SIZE) | DATABASES["default"].get("OPTIONS", {})
    # The pool keeps connections; threads do not.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="")
# Two deployments on one Redis database need distinct key names: REDIS_PREFIX=foo turns every key into foo:…, except the
# documented copies of usage.
REDIS_PREFIX = env.str("REDIS_PREFIX", default="")
if not re.fullmatch(r"[A-Za-z0-9_.-]*", REDIS_PREFIX):
    raise ImproperlyConfigured("REDIS_PREFIX may only contain letters, digits, '_', '.' and '-'")
CACHES = {"default": cache_options(REDIS_URL, REDIS_PREFIX)}

# Images that outlive a request: those of batches. Files under VAR_DIR, or an S3-compatible store that all machines share.
S3_BUCKET = env.str("S3_BUCKET", default="")
PICTURE_STORAGE = (
    {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": env.str("S3_ENDPOINT_URL", default="") or None,
            "region_name": env.str("S3_REGION", default="") or None,
            "access_key": env.str("S3_ACCESS_KEY_ID", default="") or None,
            "secret_key": env.str("S3_SECRET_ACCESS_KEY", default="") or None,
        },
    }
    if S3_BUCKET
    else {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR_DIR / "pictures", "allow_overwrite": True},
    }
)

# --- Who is calling -------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "account_login"
# How many of our own reverse proxies are in front. Only that many entries of X-Forwarded-For, counted from the right,
# are trusted; 0 means that the peer's address is the caller's.
TRUSTED_PROXY_COUNT = at_least("TRUSTED_PROXY_COUNT", default=0, minimum=0)

# Sign-up, log-in, verification and recovery are allauth's; all of its limits stay on.
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"signup": "accounts.forms.SignupForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_PREVENT_ENUMERATION = True
# An account has one address; a new one replaces it once verified.
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
# Only in the browser that signed up: a link opened elsewhere verifies the address but logs no one in.
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if PRODUCTION else "http"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = SITE_NAME
# Accept the codes before and after the current one: phones' clocks differ by that much.
MFA_TOTP_TOLERANCE = 1
# Log-in with other providers: each is on once it is named here. See accounts/provider.py.
GOOGLE_CLIENT_ID = env.str("GOOGLE_CLIENT_ID", default="")
GOOGLE_CLIENT_SECRET = env.str("GOOGLE_CLIENT_SECRET", default="")
GITHUB_CLIENT_ID = env.str("GITHUB_CLIENT_ID", default="")
GITHUB_CLIENT_SECRET = env.str("GITHUB_CLIENT_SECRET", default="")
OPENID_SERVER_URL = env.str("OPENID_SERVER_URL", default="")
OPENID_CLIENT_ID = env.str("OPENID_CLIENT_ID", default="")
OPENID_CLIENT_SECRET = env.str("OPENID_CLIENT_SECRET", default="")
# The provider's name on its button; by default its host.
OPENID_NAME = env.str("OPENID_NAME", default="") or urlsplit(OPENID_SERVER_URL).netloc
# Domains of addresses that count as verified although the provider does not say so.
OPENID_VERIFIED_DOMAINS = env.list("OPENID_VERIFIED_DOMAINS", default=[])
# Seconds for one request to a provider.
OPENID_SECONDS = at_least("OPENID_SECONDS", default=5, minimum=1)
SOCIALACCOUNT_PROVIDERS = log_in_providers(
    google=(GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET),
    github=(GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET),
    openid=(OPENID_CLIENT_ID, OPENID_CLIENT_SECRET),
    server_url=OPENID_SERVER_URL,
    name=OPENID_NAME,
    verified_domains=OPENID_VERIFIED_DOMAINS,
)
SOCIALACCOUNT_ADAPTER = "accounts.social_adapter.SocialAccountAdapter"
# An account is joined by its address only where both sides have verified it: see the adapter.
SOCIALACCOUNT_EMAIL_AUTHENTICATION = SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
# Another way to log in protects the account as a password does.
SOCIALACCOUNT_REAUTHENTICATION_REQUIRED = True
SOCIALACCOUNT_LOGIN_ON_GET = SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_FORMS = {"disconnect": "accounts.forms.DisconnectForm"}
# Staff without an authenticator must set one up before they can open the admin.
STAFF_REQUIRE_MFA = env.bool("STAFF_REQUIRE_MFA", default=PRODUCTION)

# --- Limits ---------------------------------------------------------------------------------------

RATE_LIMIT_ENABLED = env.bool("RATE_LIMIT_ENABLED", default=True)
ANONYMOUS_IMAGES_PER_DAY = at_least("ANONYMOUS_IMAGES_PER_DAY", default=5, minimum=0)
ANONYMOUS_REQUESTS_PER_MINUTE = at_least("ANONYMOUS_REQUESTS_PER_MINUTE", default=20, minimum=1)
ANONYMOUS_CONCURRENT_REQUESTS = at_least("ANONYMOUS_CONCURRENT_REQUESTS", default=2, minimum=1)
# Pages and API reads, by user, account or address; a plan allows ten reads for each request if that is more.
READS_PER_MINUTE = at_least("READS_PER_MINUTE", default=600, minimum=60)
# Calls with invalid keys or tokens that an address may make before its credentials are refused unchecked.
FAILED_CALLS_PER_MINUTE = at_least("FAILED_CALLS_PER_MINUTE", default=60, minimum=1)

# --- Web server -----------------------------------------------------------------------------------

WEB_BIND = env.str("WEB_BIND", default=f"127.0.0.1:{env.int('PORT', default=8000)}")
WEB_PROCESSES = at_least("WEB_PROCESSES", default=1, minimum=1)
WEB_THREADS = at_least("WEB_THREADS", default=48, minimum=2)
# How long an idle connection is kept. Some clients (the official one for Node) do not exit while theirs is open; behind a
# load balancer it must exceed the balancer's own timeout, so that the balancer closes first.
WEB_KEEPALIVE_SECONDS = at_least("WEB_KEEPALIVE_SECONDS", default=5, minimum=1)
# Seconds for a request's headers; and the window after which a body, or a response's reader, that moved fewer bytes a second
# is dropped. The rest of a refused body is discarded for this long, since many clients read the response only after sending.
WEB_HEADER_SECONDS = at_least("WEB_HEADER_SECONDS", default=15, minimum=1)
WEB_STALL_SECONDS = at_least("WEB_STALL_SECONDS", default=30, minimum=1)
WEB_BYTES_PER_SECOND = at_least("WEB_BYTES_PER_SECOND", default=1000, minimum=1)
WEB_DRAIN_SECONDS = at_least("WEB_DRAIN_SECONDS", default=5, minimum=1)
# Connections per process, and per address (behind TRUSTED_PROXY_COUNT proxies: its requests). The slowest make room.
WEB_CONNECTIONS = at_least("WEB_CONNECTIONS", default=1000, minimum=16)
WEB_CONNECTIONS_PER_ADDRESS = at_least("WEB_CONNECTIONS_PER_ADDRESS", default=100, minimum=8)
# Bytes on disk per process: uploads being received or processed, and results not yet read. One account gets at most three
# eighths of the first, which must fit a batch of 2 GB, and a quarter of the second.
WEB_BODY_BYTES = at_least("WEB_BODY_BYTES", default=6 * 1024**3, minimum=512 * 1024**2)
WEB_RESULT_BYTES = at_least("WEB_RESULT_BYTES", default=3 * 1024**3, minimum=64 * 1024**2)

# --- Imaging --------------------------------------------------------------------------------------

# What callers may name in the field `model`; the first is the default. IMAGING_MODEL names a single one.
IMAGING_MODELS = env.list("IMAGING_MODELS", default=[env.str("IMAGING_MODEL", default="u2net")])
# Megabytes of all loaded models; past it the least recently used goes. The default model stays.
IMAGING_MODELS_MEMORY = at_least("IMAGING_MODELS_MEMORY", default=4096, minimum=0)
# Models whose licence forbids commercial use, or asks for an agreement, are served only if they are named here as well.
IMAGING_ACCEPTED_LICENCES = env.list("IMAGING_ACCEPTED_LICENCES", default=[])
if not IMAGING_MODELS:
    raise ImproperlyConfigured("IMAGING_MODELS must name a model")
# Redraw the edges of a small matte at the image's full resolution.
IMAGING_REFINE = env.bool("IMAGING_REFINE", default=True)
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# auto: what `prepare_model` found to be the fastest here. INT8 is for u2net only.
IMAGING_PRECISION = one_of("IMAGING_PRECISION", "auto", "fp32", "int8")
IMAGING_RUNTIME = one_of("IMAGING_RUNTIME", "auto", "onnxruntime", "openvino", "mnn")
# cuda: an NVIDIA GPU, with requirements-gpu.txt; at most this many images go through the network together.
IMAGING_DEVICE = one_of("IMAGING_DEVICE", "cpu", "cuda")
IMAGING_BATCH_SIZE = at_least("IMAGING_BATCH_SIZE", default=8, minimum=1)
if IMAGING_DEVICE == "cuda" and (IMAGING_PRECISION == "int8" or IMAGING_RUNTIME in ("openvino", "mnn")):
    raise ImproperlyConfigured("IMAGING_DEVICE=cuda serves in fp32 with onnxruntime, and nothing else")
if IMAGING_PRECISION == "int8" and IMAGING_RUNTIME == "mnn":
    raise ImproperlyConfigured("IMAGING_PRECISION=int8 needs OpenVINO or onnxruntime, not mnn")
# Images processed at once, and threads per inference.
IMAGING_SLOTS = at_least("IMAGING_SLOTS", default=_CORES, minimum=1)
IMAGING_THREADS = at_least("IMAGING_THREADS", default=_CORES, minimum=1)
# Requests that may wait for a slot, and for how long, before they are asked to retry later.
IMAGING_QUEUE_SIZE = at_least("IMAGING_QUEUE_SIZE", default=32, minimum=0)
IMAGING_QUEUE_SECONDS = at_least("IMAGING_QUEUE_SECONDS", default=120, minimum=1)
# Megapixels processed at once over all slots, which bounds the memory. An image above it runs alone.
IMAGING_MEGAPIXELS = at_least("IMAGING_MEGAPIXELS", default=150, minimum=1)

# Seconds that processing one image may take, wherever it runs. Past that it is aborted, refused and not charged.
IMAGING_SECONDS = at_least("IMAGING_SECONDS", default=60, minimum=1)

# local: images are processed in the web process. celery: on workers of the queue `inference`.
IMAGING_EXECUTOR = one_of("IMAGING_EXECUTOR", "local", "celery")
# Where image bytes are kept on the way to a worker and back: in Redis, or where those of batches are.
IMAGING_HANDOVER = one_of("IMAGING_HANDOVER", "redis", "storage")

# --- Requests to servers that customers name -------------------------------------------------------

# Whether /rmbg fetches an image by `image_url`; how long that may take, from where, and how many at once per process.
IMAGE_URL_ENABLED = env.bool("IMAGE_URL_ENABLED", default=True)
IMAGE_URL_SECONDS = at_least("IMAGE_URL_SECONDS", default=15, minimum=1)
IMAGE_URL_PORTS = env.list("IMAGE_URL_PORTS", cast=int, default=[80, 443])
IMAGE_URL_DOWNLOADS = at_least("IMAGE_URL_DOWNLOADS", default=16, minimum=1)
# Callbacks of batches: seconds per attempt, and allowed ports.
CALLBACK_SECONDS = at_least("CALLBACK_SECONDS", default=15, minimum=1)
CALLBACK_PORTS = env.list("CALLBACK_PORTS", cast=int, default=[80, 443])
# Non-public networks that customers may make us connect to.
OUTBOUND_ALLOWED_NETWORKS = networks("OUTBOUND_ALLOWED_NETWORKS")

# --- The API that is compatible with remove.bg's ----------------------------------------------------

# Where images that callers send to /v1.0/improve are kept for the operator; empty switches it off. No more is kept than this
# many megabytes in all, and images of an account in any 24 hours.
IMPROVE_FOLDER = env.str("IMPROVE_FOLDER", default="")
IMPROVE_MEGABYTES = at_least("IMPROVE_MEGABYTES", default=1000, minimum=1)
IMPROVE_PER_DAY = at_least("IMPROVE_PER_DAY", default=100, minimum=1)

# --- Batches ---------------------------------------------------------------------------------------

# Unfinished batches that an account may have; batches that it may create in any 24 hours, whatever their outcome; hours
# after which a batch's images are erased.
BATCHES_AT_ONCE = at_least("BATCHES_AT_ONCE", default=10, minimum=1)
BATCHES_PER_DAY = at_least("BATCHES_PER_DAY", default=200, minimum=1)
BATCH_HOURS = at_least("BATCH_HOURS", default=24, minimum=1)

# --- Request records -----------------------------------------------------------------------------

# Days for which each call of /rmbg is kept, for the customer's dashboard and the status page.
REQUEST_LOG_DAYS = at_least("REQUEST_LOG_DAYS", default=90, minimum=1)

# Days after which an unused account with an unverified address is deleted.
UNVERIFIED_ACCOUNT_DAYS = at_least("UNVERIFIED_ACCOUNT_DAYS", default=30, minimum=1)

# --- The API --------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "lib.web.errors.render_exception",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": f"{SITE_NAME} API",
    "CONTACT": {
        key: value for key, value in {"name": SITE_NAME, "url": PUBLIC_URL, "email": SITE_SUPPORT_EMAIL}.items() if value
    },
    "VERSION": __version__,
    "DESCRIPTION": "Background removal: send a picture, get a cutout. Errors are JSON of one shape and are never charged.",
    "TAGS": [
        {"name": "Images", "description": "Pictures in, cutouts out."},
        {"name": "Batches", "description": "Many pictures at once."},
        {
            "name": "Compatible with remove.bg",
            "description": "For programs that were written for remove.bg's API. Not affiliated with remove.bg.",
        },
        {"name": "Usage", "description": "What was used and what is left."},
        {"name": "Accounts", "description": "For pages of this site."},
    ],
    "ENUM_NAME_OVERRIDES": {
        "BatchStatus": "imaging.models.Batch.State",
        "BatchImageStatus": "imaging.models.BatchItem.State",
        "BatchCallbackState": "imaging.models.Callback.State",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_SETTINGS": {"displayRequestDuration": True, "tryItOutEnabled": True, "persistAuthorization": False},
}

# Browsers on any origin may call the API with a key; cookies are never accepted across origins.
CORS_URLS_REGEX = r"^/(rmbg|api/|v1\.0/)"
CORS_ALLOW_ALL_ORIGINS = True
# The second line: headers that upload widgets and tracing send by default.
CORS_ALLOW_HEADERS = [
    "accept", "authorization", "content-type", "idempotency-key", "x-api-key", "x-request-id",
    "baggage", "cache-control", "traceparent", "tracestate", "x-requested-with",
]  # fmt: skip
CORS_EXPOSE_HEADERS = [
    "content-disposition", "location", "ratelimit", "ratelimit-policy", "retry-after", "server-timing", "x-confidence",
    "x-credits-charged", "x-foreground-height", "x-foreground-left", "x-foreground-top", "x-foreground-width", "x-height",
    "x-max-height", "x-max-width", "x-model", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
    "x-request-id", "x-type", "x-width",
]  # fmt: skip

# --- Pages ----------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ar", "العربية")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "config.formats"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SECURE = PRODUCTION
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "pictures": PICTURE_STORAGE,
    "staticfiles": {
        "BACKEND": "lib.web.static_storage.HashedStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
# Outside production the files are served in place, so that a fresh clone runs without collecting them.
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = False

# --- Transport security ---------------------------------------------------------------------------

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=PRODUCTION)
# Probes come over plain HTTP from inside the cluster.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if PRODUCTION else 0)
# Options that affect every other host of the domain, or cannot be undone for months, are for the domain owner to enable.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# Our scripts read the token from the page's form.
CSRF_COOKIE_HTTPONLY = True
if env.bool("TRUST_X_FORWARDED_PROTO", default=TRUSTED_PROXY_COUNT > 0):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- E-mail ---------------------------------------------------------------------------------------

vars().update(env.email("EMAIL_URL", default="consolemail://"))
# An address, or `name <address>`; without a name it is the site's.
_SENDER_NAME, _SENDER = parseaddr(env.str("DEFAULT_FROM_EMAIL", default="noreply@localhost"))
if not _SENDER:
    raise ImproperlyConfigured("DEFAULT_FROM_EMAIL must be an address, or `name <address>`")
DEFAULT_FROM_EMAIL = f'"{quote(_SENDER_NAME or SITE_NAME)}" <{_SENDER}>'
EMAIL_TIMEOUT = at_least("EMAIL_TIMEOUT", default=10, minimum=1)

# --- Payment ---------------------------------------------------------------------------------------

# Without the two secrets payment is disabled, and the pages say so.
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", default="")
# The URL of Stripe's API; empty for Stripe's own. Others are for tests and the sandbox.
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="")

# --- What a page may load -------------------------------------------------------------------------

# Only our own files as scripts; images also from memory, where the browser makes them. A form may end at Stripe, because
# Checkout and the portal redirect there and browsers check redirects too.
_STRIPE_PAGES = ["https://checkout.stripe.com", "https://billing.stripe.com"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.NONE],
        "script-src": [csp.SELF],
        "style-src": [csp.SELF],
        "img-src": [csp.SELF, "data:", "blob:"],
        "font-src": [csp.SELF],
        "connect-src": [csp.SELF, "blob:"],
        "worker-src": [csp.SELF],
        "manifest-src": [csp.SELF],
        "form-action": [csp.SELF, *([STRIPE_API_BASE] if STRIPE_API_BASE else _STRIPE_PAGES)],
        "frame-ancestors": [csp.NONE],
        "base-uri": [csp.NONE],
    }
}

# --- Tasks ----------------------------------------------------------------------------------------

# Without a broker a task runs in the web process that calls it.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
# Two deployments on one broker need separate queues: CELERY_QUEUE=foo makes foo, foo-inference and foo-batch.
_QUEUE = env.str("CELERY_QUEUE", default="")
QUEUES = {"default": _QUEUE or "celery"} | {role: f"{_QUEUE}-{role}" if _QUEUE else role for role in ("inference", "batch")}
CELERY_TASK_DEFAULT_QUEUE = QUEUES["default"]
CELERY_TASK_ROUTES = {
    # Not written to the broker's disk: the process that waits for the image publishes a lost job again.
    "imaging.tasks.cut_out": {"queue": QUEUES["inference"], "delivery_mode": "transient"},
    "imaging.tasks.work_on_batch_item": {"queue": QUEUES["batch"]},
}
# An image's own deadline is checked between the steps of the work. These limits are for a step that never ends: the soft one
# raises in the task, the hard one kills its process (pool `prefork`). A batch item's image may be downloaded first, and its
# worker loads the model with the first one.
_BEFORE_WORK = {"imaging.tasks.cut_out": 5, "imaging.tasks.work_on_batch_item": IMAGE_URL_SECONDS + 120}
CELERY_TASK_ANNOTATIONS = {
    name: {"soft_time_limit": IMAGING_SECONDS + seconds, "time_limit": IMAGING_SECONDS + seconds + 5}
    for name, seconds in _BEFORE_WORK.items()
}
CELERY_TASK_ALWAYS_EAGER = not CELERY_BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "billing.tasks.sweep", "schedule": 60.0},
    "callbacks": {
        "task": "imaging.callbacks.tasks.sweep_callbacks",
        "schedule": 10.0,
        # Workers that return after an hour need one sweep, not all of those that they missed.
        "options": {"expires": 10.0},
    },
    "sweep-handover": {"task": "imaging.tasks.sweep_handover", "schedule": 3600.0},
    "erase-orphans": {"task": "imaging.tasks.erase_orphans", "schedule": 3600.0},
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A worker never gives up on the broker. Attempts are at most 30 s apart.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# Heartbeat, in seconds. RabbitMQ and worker detect a dead connection that was never closed within twice as long.
CELERY_BROKER_HEARTBEAT = 20
# A worker prefetches no more tasks than it has processes: no other worker can take a task that waits in it.
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Seconds that a worker's process may take to start, including loading the model.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 120
# A task continues when the broker is lost: its result takes another route, and the redelivery finds it answered.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
# After losing the broker Celery would raise the prefetch count from 1 again, step by step. With the pool `threads` on
# RabbitMQ that got stuck, until the broker closed the connection a minute later.
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False
# An unreachable broker must not keep a customer waiting.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- Metrics --------------------------------------------------------------------------------------

# Who may read /metrics: bearers of the token, and peers in these networks that connect without a proxy.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_NETWORKS = networks("METRICS_NETWORKS", default=["127.0.0.0/8", "::1/128"])

# --- Traces ---------------------------------------------------------------------------------------

# Where traces are sent (OTLP over HTTP); needs requirements-otel.txt. OpenTelemetry reads its other variables itself.
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
# Peers whose `traceparent` is trusted.
TRACE_NETWORKS = networks("TRACE_NETWORKS")
OTEL_SERVICE_NAME = env.str("OTEL_SERVICE_NAME", default="rembg")
if OTEL_EXPORTER_OTLP_ENDPOINT:
    MIDDLEWARE.insert(MIDDLEWARE.index("lib.ops.request_id.RequestIdMiddleware") + 1, "lib.ops.tracing.TracingMiddleware")

# --- Logs -----------------------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "lib.ops.request_id.RequestIdFilter"},
        "sparse": {"()": "lib.ops.database.Sparse"},
        "no_traceback": {"()": "lib.ops.database.NoTraceback"},
    },
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(levelname)s %(name)s %(message)s %(request_id)s",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": "time",
            # Django attaches the request, whose text is its full URL: it may contain a careless caller's key.
            # Celery attaches a task's arguments as `data`: the text of a mail, with the link in it, is one.
            "reserved_attrs": [*RESERVED_ATTRS, "request", "data"],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["request_id"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # Our own access log says the same and more; Django's would write the query string, which may contain a careless
    # caller's key.
    "loggers": {
        "django.request": {"level": "ERROR", "filters": ["no_traceback"]},
        "django.server": {"level": "WARNING"},
        # It warns whenever a request waits for a thread.
        "waitress": {"level": "ERROR"},
        "lib.ops.database": {"filters": ["sparse"]},
        # Logging every connection that it opens, lends or takes back helps only its own developers.
        "psycopg.pool": {"level": "WARNING", "filters": ["sparse"]},
    },
}
