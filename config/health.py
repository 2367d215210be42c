"""Probes: is this process alive, and is it ready for callers?"""

from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from config import readiness


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process can answer at all."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 once every registered part is ready and the database answers, else 503 with what is missing."""
    found = parts()
    ready = all(found.values())
    return JsonResponse({"status": "ready" if ready else "not ready", "parts": found}, status=200 if ready else 503)


def parts() -> dict[str, bool]:
    """What a process depends on, and whether each is ready."""
    return {"database": _database_answers()} | readiness.states()


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True
