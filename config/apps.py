from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Cross-cutting parts: settings, errors, request ids, limits, health. Registers the system checks."""

    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401  (some register themselves)
        from lib.ops import health, lifecycle, metrics, task_logs, tracing  # noqa: F401  (some register themselves)
        from lib.web import rate_limits

        metrics.register("parts", health.read_metrics)
        # The last to stop: it frees the places of the last requests.
        lifecycle.register("places", rate_limits.renewer)
        lifecycle.register("tracing", tracing)
