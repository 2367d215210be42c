"""`GET /api/membership-usage` against an empty view with the same authentication, and with a thousand and a million rows.

    python tests/bench/bench_membership.py

Runs in this process, through the whole of Django (middleware, routing, DRF), on PostgreSQL and Redis; in turn, A B A B.
"""

import io
import os
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.scratch_databases import REDIS_BENCH_DATABASE, scratch_postgres, scratch_redis

ROUNDS = 20
REQUESTS = 25
GOAL_SHARE = 0.40
FEW, MANY = 1_000, 1_000_000
MEMBERSHIP = "/api/membership-usage"
EVERYTHING = "expand=billing_cycle"
urlpatterns: list[Any] = []
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def main() -> None:
    with scratch_postgres() as database, scratch_redis(REDIS_BENCH_DATABASE) as cache:
        os.environ |= {"DATABASE_URL": database, "REDIS_URL": cache, "DJANGO_SETTINGS_MODULE": "config.settings"}
        # More than the reads the benchmark makes per minute: they are counted, and none is refused.
        os.environ |= {"LOG_LEVEL": "WARNING", "READS_PER_MINUTE": "1000000"}
        from config.wsgi import application

        prepare()
        run(application)


def prepare() -> None:
    """An empty database, and an empty view next to the product's own."""
    from django.conf import settings
    from django.core.management import call_command
    from django.urls import include, path
    from rest_framework.request import Request
    from rest_framework.response import Response

    from accounts.authentication import ApiKeyAuthentication
    from lib.web.api_view import ApiView

    class EmptyView(ApiView):
        authentication_classes = [ApiKeyAuthentication]

        def get(self, request: Request) -> Response:
            return Response({})

    urlpatterns.extend([path("empty", EmptyView.as_view()), path("", include("config.urls"))])
    settings.ROOT_URLCONF = __name__
    call_command("migrate", verbosity=0)


def run(application: Application) -> None:
    from django.db import connection

    from tests.services import ledger_audit

    account = ledger_audit.open_account(included=10_000)
    key, email = account["key"], account["email"]
    empty, plain = measure(application, key, ("/empty", ""), (MEMBERSHIP, ""))
    again, expanded = measure(application, key, ("/empty", ""), (MEMBERSHIP, EVERYTHING))
    print(f"at least {GOAL_SHARE:.0%} of the empty authenticated view's {1 / empty:.0f} requests/s is the goal:")
    print(f"  membership-usage        {1 / plain:6.0f} requests/s  {empty / plain:5.0%}")
    print(f"  with the billing cycle  {1 / expanded:6.0f} requests/s  {again / expanded:5.0%}")
    print(f"from {FEW:,} to {MANY:,} ledger rows, goal about x 1:")

    medians = []
    for rows in (FEW, MANY):
        fill_ledger(email, rows)
        medians.append(measure(application, key, (MEMBERSHIP, EVERYTHING), (MEMBERSHIP, "listBillingCycles=1")))
    for name, few, many in zip(("billing cycle", "list of cycles"), *medians, strict=True):
        print(f"  {name:15} {few * 1000:5.2f} ms to {many * 1000:5.2f} ms: x {many / few:4.2f}")
    connection.close()


def measure(application: Application, key: str, *addresses: tuple[str, str]) -> list[float]:
    """Seconds per request to each address: the median over rounds in which they take turns."""
    seconds: list[list[float]] = [[] for _ in addresses]
    for turn in range(ROUNDS + 2):
        for address, taken in zip(addresses, seconds, strict=True):
            started = time.perf_counter()
            for _ in range(REQUESTS):
                get(application, key, *address)
            if turn >= 2:
                taken.append((time.perf_counter() - started) / REQUESTS)
    return [statistics.median(taken) for taken in seconds]


def get(application: Application, key: str, path: str, query: str) -> None:
    """One request as a WSGI server passes it."""
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_X_API_KEY": key, "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http", "wsgi.errors": io.StringIO(), "wsgi.version": (1, 0), "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False, "HTTP_HOST": "localhost",
    }  # fmt: skip
    statuses = []
    answer = application(environ, lambda status, headers, error=None: statuses.append(status))
    b"".join(answer)
    answer.close()  # type: ignore[attr-defined]
    assert statuses == ["200 OK"], statuses


def fill_ledger(email: str, rows: int) -> None:
    """Grow the account's ledger to about `rows` rows: a year of posted holds."""
    from django.db import connection

    from billing.models import Account, LedgerEntry

    account = Account.objects.get(user__email=email)
    there = LedgerEntry.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no look-up of the account for each of a million rows
        cursor.execute(
            "INSERT INTO billing_ledgerentry (account_id, kind, bucket, available, held, reference, note, created_at) "
            "SELECT %s, 'hold', 'included', -1, 1, 'bench:' || n, '', now() - n * interval '30 seconds' "
            "FROM generate_series(%s, %s) AS n",
            [account.pk, there + 1, rows],
        )
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    main()
