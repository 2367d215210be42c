"""The cost of accounting for one request: authentication, limits, hold, post, the copies in Redis, the limit headers.

    PYTHONPATH=. python tests/bench/bench_accounting.py [--before FOLDER]

Runs in this process, without HTTP or imaging, on PostgreSQL and Redis. With the checkout of another release, runs both in
turn: compare their processor times where the machine is busy.
"""

import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.scratch_databases import REDIS_BENCH_DATABASE, scratch_postgres, scratch_redis

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 300
WARM_UP = 30
GOAL_MS = 8
# The account; the window, the key's month, the credit, the hold and its ledger row; to post: the hold, the key's month, the
# window, the calendar month and the ledger row; the window and the month for the copies. Once a second, the prices.
MOST_QUERIES = 13
TURNS = 2


def main() -> None:
    if "--before" in sys.argv:
        compare(Path(sys.argv[-1]).resolve())
        return
    with scratch_postgres() as database, scratch_redis(REDIS_BENCH_DATABASE) as cache:
        os.environ |= {"DATABASE_URL": database, "REDIS_URL": cache, "DJANGO_SETTINGS_MODULE": "config.settings"}
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        run()


def compare(before: Path) -> None:
    """Run this script with the modules of both checkouts, in turn."""
    for turn in range(TURNS):
        for name, checkout in (("before", before), ("now", ROOT)):
            print(f"{name}, turn {turn + 1}", flush=True)
            environment = os.environ | {"PYTHONPATH": str(checkout)}
            subprocess.run([sys.executable, __file__], cwd=checkout, env=environment, check=True)


def run() -> None:
    from django.db import connection

    from tests.services import ledger_audit

    for name, credits in (("included", {"included": 10_000}), ("prepaid", {"included": 0, "prepaid": 10_000})):
        key = ledger_audit.open_account(**credits)["key"]
        for _ in range(WARM_UP):
            account_for(key)
        queries = count_queries(key)
        seconds, processor = [], []
        for _ in range(ROUNDS):
            started, worked = time.perf_counter(), time.process_time()
            account_for(key)
            seconds.append(time.perf_counter() - started)
            processor.append(time.process_time() - worked)
        report(name, seconds, processor, len(queries))
        assert len(queries) <= MOST_QUERIES, queries
    assert ledger_audit.differences() == []
    connection.close()


def count_queries(key: str) -> list[str]:
    """The statements of one request, without BEGIN, COMMIT and the check that the connection is alive."""
    from django.db import connection

    queries: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        queries.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        account_for(key)
    return queries


def account_for(key: str) -> None:
    """All that `POST /rmbg` does for one image, except the imaging."""
    from django.core.signals import request_finished, request_started
    from django.http import HttpRequest
    from rest_framework.request import Request

    from accounts.authentication import ApiKeyAuthentication, UserTokenAuthentication
    from accounts.caller import identify
    from billing.credits import admission
    from lib.web import rate_limits

    request_started.send(main)
    authenticators = [ApiKeyAuthentication(), UserTokenAuthentication()]
    arrived = HttpRequest()
    arrived.META = {"HTTP_X_API_KEY": key, "REMOTE_ADDR": "127.0.0.1"}
    request = Request(arrived, authenticators=authenticators)
    customer = admission.get_customer(identify(request))
    rate_limits.count_request(customer.policy)
    with rate_limits.concurrent_place(customer.policy), admission.charged(customer, str(uuid.uuid4())):
        pass
    customer.rate_limit_headers()
    request_finished.send(main)


def report(name: str, seconds: list[float], processor: list[float], queries: int) -> None:
    median, work = statistics.median(seconds) * 1000, statistics.median(processor) * 1000
    p95 = statistics.quantiles(seconds, n=20)[-1] * 1000
    elapsed = f"median {median:6.2f} ms (goal < {GOAL_MS}), 95th percentile {p95:6.2f} ms"
    print(f"{name:9} {elapsed}, {queries} queries, processor {work:.2f} ms")


if __name__ == "__main__":
    main()
