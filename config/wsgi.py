"""WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

from lib.web.request_body import served

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = served(get_wsgi_application())
