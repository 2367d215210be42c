from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Cross-cutting parts: settings, errors, request ids, limits, health. Registers the system checks."""

    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401  (registers itself)
