"""The project's top level: settings, URLs, and the entry points of the processes.

Celery's application is loaded with Django, so that every task belongs to it.
"""

from config.celery import app as celery_app

__all__ = ["celery_app"]

# The one version of the project, of the OpenAPI document and of the clients: see docs/releases.md.
__version__ = "1.0.0"
