"""Probes: is this process alive, and is it ready for callers?"""

from collections.abc import Iterator

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client.core import GaugeMetricFamily, Metric

from lib.ops import broker, readiness
from lib.ops.redis_client import get_redis


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process can answer at all."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 once every registered part is ready and the database answers, else 503 with what is missing.

    A database that does not answer is detected within three seconds: see `lib.ops.database`.

    Cache and broker are reported too. While images can be served without them they do not make a process unready: all web
    processes share them, and taking every one out of service would turn a small loss into a large one.
    """
    found = parts()
    ready = all(found.values())
    report = {"status": "ready" if ready else "not ready", "parts": found | helpers()}
    return JsonResponse(report, status=200 if ready else 503)


def parts() -> dict[str, bool]:
    """What a process cannot do without, and whether each is ready. Images go to workers through broker and cache."""
    return {"database": _database_answers()} | readiness.states() | (_between() if _has_workers() else {})


def helpers() -> dict[str, bool]:
    """What it can do without for a while, where it is configured."""
    return readiness.states(shared=True) | ({} if _has_workers() else _between())


def _has_workers() -> bool:
    return bool(settings.IMAGING_EXECUTOR == "celery")


def _between() -> dict[str, bool]:
    return cache_part() | ({"broker": broker.answers()} if settings.CELERY_BROKER_URL else {})


def cache_part() -> dict[str, bool]:
    """The shared cache, if configured. Without it each process has its own limits and counters; images are still served."""
    client = get_redis()
    if client is None:
        return {}
    try:
        return {"cache": bool(client.ping())}
    except redis.RedisError:
        return {"cache": False}


def read_metrics() -> Iterator[Metric]:
    """For `/metrics`: the state of each part, and how many tasks wait for a worker."""
    family = GaugeMetricFamily("rembg_part_up", "Whether this part answers or is ready.", labels=["part"])
    for name, is_up in (parts() | helpers()).items():
        family.add_metric([name], is_up)
    yield family
    waiting = broker.find_waiting_tasks()
    if waiting:
        family = GaugeMetricFamily("rembg_tasks_waiting", "Tasks that no worker has taken yet.", labels=["queue"])
        for queue, count in waiting.items():
            family.add_metric([queue], count)
        yield family


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True
