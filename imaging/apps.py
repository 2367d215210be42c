from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate


class ImagingConfig(AppConfig):
    name = "imaging"

    def ready(self) -> None:
        from accounts.deletion import register_eraser
        from billing.support.roles import seed_groups
        from billing.support.search import register_reading
        from billing.tasks import register_sweeper
        from imaging import metrics as imaging_metrics
        from imaging.batches import errors as batch_errors
        from imaging.batches import expiry, upkeep
        from imaging.batches import runner as batches
        from imaging.batches import upload as batch_upload
        from imaging.batches.support import find_batch
        from imaging.callbacks import metrics as callback_metrics
        from imaging.callbacks import runner as callbacks
        from imaging.callbacks.erasure import erase_callbacks
        from imaging.compat import doorkeeper as compat_doorkeeper
        from imaging.compat import errors as compat_errors
        from imaging.compat import kept_images
        from imaging.executor import runtime
        from imaging.removal import doorkeeper, errors
        from lib.ops import lifecycle, metrics, readiness

        errors.register()
        batch_errors.register()
        compat_errors.register()
        doorkeeper.register()
        compat_doorkeeper.register()
        batch_upload.register()
        readiness.register("model", runtime.is_ready, is_shared=runtime.is_remote)
        # Billing connects this too, but the permissions of these models are created after its own.
        post_migrate.connect(seed_groups, sender=self)
        register_eraser(expiry.forget_customer)
        # After `forget_customer`: no callback is sent for a batch that the deletion cancels.
        register_eraser(erase_callbacks)
        register_eraser(kept_images.forget_customer)
        register_reading(find_batch)
        register_sweeper(upkeep.tend)
        metrics.register("imaging", imaging_metrics.read)
        metrics.register("callbacks", callback_metrics.read)
        if not settings.CELERY_BROKER_URL:
            # Batches stop first: those that end meanwhile may still create callbacks.
            lifecycle.register("callbacks", callbacks.runner)
            lifecycle.register("batches", batches.runner)
