from django.apps import AppConfig
from django.db.models.signals import post_migrate


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from accounts.deletion import register_eraser, register_veto
        from billing import errors
        from billing import metrics as billing_metrics
        from billing.dashboard import request_log
        from billing.payments.subscriptions import object_to_deletion
        from billing.support.roles import seed_groups
        from billing.sweeper import sweeper
        from billing.tasks import forget_requests_on_commit
        from lib.ops import lifecycle, metrics

        errors.register()
        metrics.register("billing", billing_metrics.read)
        lifecycle.register("request-log", request_log.log)
        lifecycle.register("sweeper", sweeper)
        register_eraser(forget_requests_on_commit)
        register_veto(object_to_deletion)
        # Permissions are also created after migrations, by an app that is listed before this one.
        post_migrate.connect(seed_groups, sender=self)
