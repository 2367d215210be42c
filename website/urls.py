"""Addresses of the site itself: front page, editor, documentation, reference, legal pages, status."""

from django.urls import path

from website import home, pages, status
from website.brand_files import brand_file, favicon
from website.documentation import docs_page
from website.reference import OpenApiView, ReferenceView

urlpatterns = [
    path("", home.home, name="home"),
    path("editor", home.editor, name="editor"),
    path("status", status.page, name="status"),
    path("status.json", status.as_json, name="status-json"),
    path("docs", docs_page, name="docs"),
    path("docs/<slug:slug>", docs_page, name="docs-page"),
    path("privacy", pages.privacy, name="privacy"),
    path("terms", pages.terms, name="terms"),
    path("cookies", pages.cookies, name="cookies"),
    path("robots.txt", pages.robots, name="robots"),
    path("sitemap.xml", pages.sitemap, name="sitemap"),
    path("favicon.ico", favicon),
    path("brand/<str:digest>/<str:name>", brand_file, name="brand-file"),
    path("api/openapi", OpenApiView.as_view(), name="openapi"),
    path("api/docs", ReferenceView.as_view(), name="api-docs"),
]
