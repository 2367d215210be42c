"""Every address of the deployment."""

from django.contrib import admin
from django.urls import include, path

from lib.ops.health import healthz, readyz
from lib.ops.metrics_page import metrics_page
from lib.web.language import set_language, texts

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics_page),
    path("language", set_language, name="set-language"),
    path("language/<str:language>.js", texts, name="texts"),
    path("", include("accounts.urls")),
    path("", include("billing.urls")),
    path("", include("imaging.urls")),
    path("", include("website.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "lib.web.errors.bad_request"
handler403 = "lib.web.errors.forbidden"
handler404 = "lib.web.errors.not_found"
# allauth's rate limits look for this one.
handler429 = "lib.web.errors.too_many_attempts"
handler500 = "lib.web.errors.server_error"
