"""WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

from config.database import giving_back
from config.request_body import complete_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = complete_bodies(giving_back(get_wsgi_application()))
