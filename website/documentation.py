"""`/docs`: the documentation. Each page is a template; its title and sections are listed here, for the menus."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import ApiKey
from billing.credits.prices import PREVIEW, get_price
from billing.models import Plan
from imaging.core.outputs import MAX_NAME, MAX_OUTPUTS
from imaging.core.presets import PRESETS
from website import error_guide, migration
from website.finishing import EXAMPLES

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `slug` is its path under /docs, empty for the first; `sections` are anchors with their titles."""

    slug: str
    title: Text
    description: Text
    sections: dict[str, Text]

    @property
    def template(self) -> str:
        """The page's template."""
        return f"docs/{self.slug or 'quick-start'}.html"

    @property
    def url(self) -> str:
        """Its URL on this deployment."""
        return reverse("docs-page", args=[self.slug]) if self.slug else reverse("docs")


PAGES = (
    Page(
        "",
        _("Quick start"),
        _("From nothing to your first cutout in two minutes: get a key, send a picture, save the answer."),
        {
            "key": _("Get a key"),
            "first-cutout": _("Make your first cutout"),
            "answer": _("Read the answer"),
            "options": _("Say what you want"),
            "next": _("Where to go from here"),
        },
    ),
    Page(
        "rmbg",
        _("Remove a background"),
        _("Every field, response header and rule of POST /rmbg."),
        {
            "request": _("The request"),
            "fields": _("Fields"),
            "order": _("Order of work"),
            "resizing": _("Sizes"),
            "colours": _("Colours and transparency"),
            "kept": _("What is kept of your picture"),
            "headers": _("Response headers"),
            "callers": _("Who is calling"),
        },
    ),
    Page(
        "finishing",
        _("Finished images"),
        _("Crop, place, shade, and lay the subject on another background: with twelve examples."),
        {
            "geometry": _("Size and place"),
            "backgrounds": _("Edges, backgrounds and shadows"),
            "examples": _("Twelve examples"),
            "presets": _("Presets of marketplaces"),
        },
    ),
    Page(
        "batches",
        _("Batches"),
        _("Many pictures in one request: send them, see what becomes of them, fetch the results."),
        {
            "send": _("Send many pictures"),
            "fields": _("Fields"),
            "outputs": _("Several results of each picture"),
            "status": _("What became of them"),
            "results": _("Fetch the results"),
            "cost": _("What it costs"),
            "stop": _("Cancel and erase"),
            "again": _("Send it again"),
        },
    ),
    Page(
        "callbacks",
        _("Callbacks"),
        _("How we notify your server that a batch has ended, and how it knows that the message is ours."),
        {
            "ask": _("Ask for one"),
            "message": _("What is sent"),
            "verify": _("Verify the signature"),
            "retries": _("Answers and retries"),
            "rotate": _("A new secret"),
        },
    ),
    Page(
        "samples",
        _("Code samples"),
        _("Working samples in curl, HTTP, Python, Node.js, browser JavaScript and PHP."),
        {
            "cutout": _("Make a cutout"),
            "white-background": _("A shop picture: white, 1000 px, JPEG"),
            "retry": _("Retry without paying twice"),
            "usage": _("Ask what is left"),
            "client": _("The Node.js client"),
        },
    ),
    Page(
        "python",
        _("The Python client"),
        _("A typed client for Python programs, synchronous and asynchronous, with batches and callbacks."),
        {
            "install": _("Install it"),
            "cutout": _("Make a cutout"),
            "async": _("Many calls at once"),
            "batch": _("Send a batch"),
            "errors": _("Errors and retries"),
            "callbacks": _("Verify a callback"),
        },
    ),
    Page(
        "command-line",
        _("The command line"),
        _("A folder of pictures with one command: in parallel, with a progress bar, and resumed after an interruption."),
        {
            "install": _("Install it"),
            "remove": _("Remove backgrounds"),
            "resume": _("Go on after an interruption"),
            "scripts": _("Use it in scripts"),
        },
    ),
    Page(
        "mcp",
        _("Tools for assistants"),
        _("An MCP server: let an assistant remove backgrounds, in the folders that you choose."),
        {
            "what": _("What it is"),
            "hosts": _("Set it up"),
            "tools": _("Its tools"),
            "folders": _("What it may touch"),
        },
    ),
    Page(
        "removebg",
        _("Moving from remove.bg"),
        _("Programs that were written for remove.bg’s API go on with another host name and a key of this service."),
        {
            "change": _("What to change"),
            "steps": _("The move, step by step"),
            "clients": _("In each language and client"),
            "differences": _("What is different"),
            "better": _("What is better"),
            "calculator": _("What it would cost here"),
            "errors": _("Its errors"),
        },
    ),
    Page(
        "errors",
        _("Errors"),
        _("Every error with its status, code and text, and what to do about it."),
        {
            "shape": _("One shape"),
            "all": _("All errors of /rmbg"),
            "batches": _("Errors of /api/batches"),
            "membership": _("Errors of /api/membership-usage"),
            "request-id": _("The request id"),
        },
    ),
    Page(
        "limits",
        _("Limits and retries"),
        _("How many requests you may send, how answers report it, and which errors to retry."),
        {
            "rates": _("Requests per minute and at once"),
            "rate-headers": _("Reading the limits"),
            "which-429": _("Which 429 to retry"),
            "backoff": _("How to retry"),
            "idempotency": _("Idempotency-Key"),
            "sizes": _("Limits of a picture"),
        },
    ),
    Page(
        "credits",
        _("Credits and billing"),
        _("What a credit buys, when it is spent, what is never charged, and when it renews."),
        {
            "credit": _("One picture, one credit"),
            "hold": _("Hold, then post or void"),
            "never": _("What is never charged"),
            "windows": _("Billing windows"),
            "prepaid": _("Prepaid credits"),
            "caps": _("A cap per key"),
        },
    ),
    Page(
        "membership-usage",
        _("Usage by API"),
        _("GET /api/membership-usage: plan, credits and usage as JSON."),
        {
            "ask": _("Ask"),
            "parameters": _("Parameters"),
            "fields": _("Fields of the answer"),
            "cycle": _("The billing cycle"),
            "list": _("All billing cycles"),
        },
    ),
)
BY_SLUG = {page.slug: page for page in PAGES}


@require_safe
def docs_page(request: HttpRequest, slug: str = "") -> HttpResponse:
    """One page of the documentation. Raises Http404 for an unknown one."""
    page = BY_SLUG.get(slug)
    # The first page has one address.
    if page is None or (slug == "" and request.path != page.url):
        raise Http404
    response = render(request, page.template, _frame(request, page) | _facts(page, request.GET))
    patch_cache_control(response, private=True, no_cache=True)
    return response


def _frame(request: HttpRequest, page: Page) -> dict[str, Any]:
    at = PAGES.index(page)
    return {
        "pages": PAGES,
        "page": page,
        "previous": PAGES[at - 1] if at else None,
        "next": PAGES[at + 1] if at + 1 < len(PAGES) else None,
        "base_url": base_url(request),
        "prefixes": _live_prefixes(request),
        "social_title": page.title,
        "social_description": page.description,
    }


def _facts(page: Page, query: Mapping[str, str]) -> dict[str, Any]:
    """Values on a page that come from the code or the database instead of its text."""
    if page.slug == "errors":
        return {
            "rmbg_errors": error_guide.rmbg_errors(),
            "batch_errors": error_guide.batch_errors(),
            "membership_errors": error_guide.membership_errors(),
        }
    if page.slug == "removebg":
        month = migration.parse_month(query)
        return {
            "month": month,
            "offers": migration.find_offers(month),
            "compat_errors": error_guide.compat_errors(),
            "improve_is_on": bool(settings.IMPROVE_FOLDER),
        }
    if page.slug == "batches":
        limits = {"hours": settings.BATCH_HOURS, "at_once": settings.BATCHES_AT_ONCE}
        return {"batches": {**limits, "outputs": MAX_OUTPUTS, "output_name": MAX_NAME}}
    if page.slug == "finishing":
        presets = [(name, preset, gettext(preset.rule)) for name, preset in PRESETS.items()]
        return {"examples": EXAMPLES, "presets": presets}
    if page.slug in ("limits", "credits"):
        return {
            "plans": Plan.objects.all(), "anonymous": _anonymous_limits(), "reads": settings.READS_PER_MINUTE,
            "preview": get_price(PREVIEW),
        }  # fmt: skip
    if page.slug == "callbacks":
        ports = ", ".join(str(port) for port in settings.CALLBACK_PORTS)
        return {"callback": {"ports": ports, "seconds": settings.CALLBACK_SECONDS}}
    return {"anonymous": _anonymous_limits()}


def _anonymous_limits() -> dict[str, int]:
    return {
        "per_day": settings.ANONYMOUS_IMAGES_PER_DAY,
        "per_minute": settings.ANONYMOUS_REQUESTS_PER_MINUTE,
        "at_once": settings.ANONYMOUS_CONCURRENT_REQUESTS,
    }


def _live_prefixes(request: HttpRequest) -> list[str]:
    """The prefixes of the reader's own live keys, newest first."""
    if not request.user.is_authenticated:
        return []
    return [key.prefix for key in ApiKey.objects.live().filter(user=request.user).only("lookup")]


def base_url(request: HttpRequest) -> str:
    """Scheme and host under which the reader sees this deployment, without a trailing slash."""
    return request.build_absolute_uri("/").rstrip("/")
