from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from accounts.deletion import register_eraser, register_veto
        from billing.subscriptions import object_to_deletion
        from billing.tasks import forget_requests_on_commit

        register_eraser(forget_requests_on_commit)
        register_veto(object_to_deletion)
