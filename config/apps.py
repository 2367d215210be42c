from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Cross-cutting parts: settings, errors, request ids, limits, health. Registers the system checks."""

    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401  (some register themselves)
        from lib.ops import health, metrics, task_logs, tracing  # noqa: F401  (some register themselves)

        metrics.register("parts", health.read_metrics)
