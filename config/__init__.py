"""Cross-cutting parts. Celery's application is loaded with Django, so that every task belongs to it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
