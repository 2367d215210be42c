"""Where pictures are while they are worked on, by the settings of this deployment: for /privacy."""

from django.conf import settings

from imaging.executor.payloads import LEFT_OVER
from imaging.executor.store import ANSWER_SECONDS


def describe() -> dict[str, object]:
    """What the page's sentences depend on.

    `work` is how a picture reaches the model: `local`, in the process that received it; `redis` or `storage`, through that
    to a worker. `store` is where pictures of batches are: `s3` or `files`.
    """
    return {
        "work": settings.IMAGING_HANDOVER if settings.IMAGING_EXECUTOR == "celery" else "local",
        "store": "s3" if settings.S3_BUCKET else "files",
        "minutes_in_redis": -(-ANSWER_SECONDS // 60),
        # The sweep that removes what is left over runs once an hour.
        "hours_in_storage": int(LEFT_OVER.total_seconds() // 3600) + 1,
        "fetches": settings.IMAGE_URL_ENABLED,
        "has_redis": bool(settings.REDIS_URL),
        "traces": bool(settings.OTEL_EXPORTER_OTLP_ENDPOINT),
    }
