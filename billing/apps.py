from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from accounts.deletion import register_veto
        from billing.subscriptions import object_to_deletion

        register_veto(object_to_deletion)
