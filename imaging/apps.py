from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ImagingConfig(AppConfig):
    name = "imaging"

    def ready(self) -> None:
        from accounts.deletion import register_eraser
        from billing.support.roles import seed_groups
        from config import metrics, readiness
        from imaging import metrics as imaging_metrics
        from imaging import runtime
        from imaging.callbacks import metrics as callback_metrics
        from imaging.callbacks.erasure import erase_callbacks

        readiness.register("model", runtime.is_ready, is_shared=runtime.is_remote)
        metrics.register("imaging", imaging_metrics.read)
        metrics.register("callbacks", callback_metrics.read)
        register_eraser(erase_callbacks)
        # Billing has given what its own migrations made; the rights to see our models are made after ours.
        post_migrate.connect(seed_groups, sender=self)
