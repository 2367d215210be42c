"""WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

from config.request_body import complete_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = complete_bodies(get_wsgi_application())
