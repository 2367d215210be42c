"""Every address of the deployment."""

from django.contrib import admin
from django.urls import include, path

from website import pages
from website.documentation import docs_page
from lib.ops.health import healthz, readyz
from lib.web.language import set_language, texts
from lib.ops.metrics_page import metrics_page
from website.reference import OpenApiView, ReferenceView

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics_page),
    path("language", set_language, name="set-language"),
    path("language/<str:language>.js", texts, name="texts"),
    path("docs", docs_page, name="docs"),
    path("docs/<slug:slug>", docs_page, name="docs-page"),
    path("privacy", pages.privacy, name="privacy"),
    path("terms", pages.terms, name="terms"),
    path("cookies", pages.cookies, name="cookies"),
    path("robots.txt", pages.robots, name="robots"),
    path("sitemap.xml", pages.sitemap, name="sitemap"),
    path("favicon.ico", pages.favicon),
    path("", include("accounts.urls")),
    path("", include("billing.urls")),
    path("", include("imaging.urls")),
    path("admin/", admin.site.urls),
    path("api/openapi", OpenApiView.as_view(), name="openapi"),
    path("api/docs", ReferenceView.as_view(), name="api-docs"),
]

handler400 = "lib.web.errors.bad_request"
handler403 = "lib.web.errors.forbidden"
handler404 = "lib.web.errors.not_found"
# allauth's rate limits look for this one.
handler429 = "lib.web.errors.too_many_attempts"
handler500 = "lib.web.errors.server_error"
