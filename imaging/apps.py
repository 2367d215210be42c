from django.apps import AppConfig


class ImagingConfig(AppConfig):
    name = "imaging"

    def ready(self) -> None:
        from config import readiness
        from imaging import runtime

        readiness.register("model", runtime.is_ready)
