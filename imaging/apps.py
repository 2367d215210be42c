from django.apps import AppConfig


class ImagingConfig(AppConfig):
    name = "imaging"

    def ready(self) -> None:
        from config import metrics, readiness
        from imaging import metrics as imaging_metrics
        from imaging import runtime

        readiness.register("model", runtime.is_ready, is_shared=runtime.is_remote)
        metrics.register("imaging", imaging_metrics.read)
