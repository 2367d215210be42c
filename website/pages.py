"""Pages around the product: who runs it, what data it keeps, and files for search engines."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.contrib.sitemaps import views as sitemap_views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.user_tokens import LIFETIME_SECONDS as TOKEN_SECONDS
from billing.credits.idempotency import LIFETIME as IDEMPOTENCY_LIFETIME
from billing.tasks import ANONYMOUS_DAYS
from website.documentation import PAGES
from website.privacy import describe

# Pages that search engines may list, by URL name, in addition to the documentation.
PUBLIC = ("home", "pricing", "api-docs", "status", "privacy", "terms", "cookies")
# Pages of a single customer, and those that only make sense as a step of some flow.
PRIVATE = ("/accounts/", "/admin/", "/billing", "/dashboard", "/editor", "/language", "/profile")


def legal(template: str, title: str | Promise) -> Callable[[HttpRequest], HttpResponse]:
    """A view of one legal page."""

    @require_safe
    def view(request: HttpRequest) -> HttpResponse:
        return render(request, template, {"legal_title": title, "social_title": title, **_facts()})

    return view


privacy = legal("legal/privacy.html", _("Privacy"))
terms = legal("legal/terms.html", _("Terms of service"))
cookies = legal("legal/cookies.html", _("Cookies"))


def _facts() -> dict[str, object]:
    """What the legal pages say about the deployment, taken from its settings and code."""
    return {
        "operator": {
            "name": settings.OPERATOR_NAME,
            "email": settings.OPERATOR_EMAIL,
            "address": settings.OPERATOR_ADDRESS,
            "complete": all((settings.OPERATOR_NAME, settings.OPERATOR_EMAIL, settings.OPERATOR_ADDRESS)),
        },
        "request_days": settings.REQUEST_LOG_DAYS,
        "anonymous_days": ANONYMOUS_DAYS,
        "batch_hours": settings.BATCH_HOURS,
        "improve_is_on": bool(settings.IMPROVE_FOLDER),
        "pictures": describe(),
        "idempotency_hours": int(IDEMPOTENCY_LIFETIME.total_seconds() // 3600),
        "token_minutes": TOKEN_SECONDS // 60,
        "session_days": settings.SESSION_COOKIE_AGE // 86_400,
        "csrf_days": settings.CSRF_COOKIE_AGE // 86_400,
        "language_days": settings.LANGUAGE_COOKIE_AGE // 86_400,
        "session_cookie": settings.SESSION_COOKIE_NAME,
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "language_cookie": settings.LANGUAGE_COOKIE_NAME,
        "has_providers": bool(settings.SOCIALACCOUNT_PROVIDERS),
        "payment": bool(settings.STRIPE_SECRET_KEY),
    }


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """`/robots.txt`: everything public may be indexed."""
    rules = "".join(f"Disallow: {path}\n" for path in PRIVATE)
    place = request.build_absolute_uri(reverse("sitemap"))
    return HttpResponse(f"User-agent: *\n{rules}\nSitemap: {place}\n", content_type="text/plain; charset=utf-8")


class PublicPages(Sitemap):  # type: ignore[type-arg]  # generic for mypy only
    """The public pages. A page has one URL for all its languages, so there are no alternates to list."""

    def items(self) -> list[str]:
        """Their paths."""
        return [*(reverse(name) for name in PUBLIC), *(page.url for page in PAGES)]

    def location(self, item: str) -> str:
        return item


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """`/sitemap.xml`."""
    return sitemap_views.sitemap(request, {"pages": PublicPages})
