from django.apps import AppConfig


class WebsiteConfig(AppConfig):
    """The site: front page, editor, documentation, reference, legal pages, status. It has no models."""

    name = "website"
