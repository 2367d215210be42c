"""An upgrade to prices in hundredths, under load: the release before and this one on one PostgreSQL, then books exact.

    git worktree add ../before COMMIT-OF-THE-RELEASE-BEFORE
    PYTHONPATH=. python tests/bench/bench_upgrade.py ../before [LEDGER_ROWS [--migration-only]]

1. The release before makes accounts, and a million ledger rows are filled in. Its `reconcile` proves them.
2. While its web processes answer requests, this release migrates the database. Prints the time, the longest time that the
   migration held an exclusive lock, and the longest that any statement of the others waited for a lock.
3. Web processes of both releases answer requests of the same accounts, where an image costs 0.25 here and 1 there, until
   every credit is spent. One of each is killed meanwhile. This release's `reconcile` and an independent audit prove all.
"""

import io
import os
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import psycopg
import requests
from PIL import Image

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

from tests.scratch_databases import REDIS_BENCH_DATABASE, scratch_postgres, scratch_redis
from tests.services.deployment import Deployment

ACCOUNTS = 6
INCLUDED, PREPAID = 250, 150
SENDERS = 6
KILLS = 3
SECONDS_BEFORE = 3.0
# At most, to spend what is left.
LAST_SECONDS = 120
# Rows of accounts that no request is for: two for each image that was delivered.
FILLED_ACCOUNTS = 100

# Without the checks of foreign keys, which take minutes.
FILL = """
SET session_replication_role = replica;
INSERT INTO accounts_user (password, is_superuser, public_id, email, name, language, low_balance_mails, is_active, is_staff,
                           date_joined)
SELECT '', false, 'filled-' || n, 'filled-' || n || '@example.com', '', 'en', true, true, false, now()
FROM generate_series(1, %(accounts)s) n;
INSERT INTO billing_account (user_id, plan_id, prepaid_balance, created_at)
SELECT id, (SELECT id FROM billing_plan WHERE label = 'Free'), 0, now() FROM accounts_user WHERE email LIKE 'filled-%%';
INSERT INTO billing_usagewindow (account_id, kind, start, "end", allowance, app_used, api_used, held, warned_percent)
SELECT id, 'month', date_trunc('month', now()), date_trunc('month', now()) + interval '1 month', 100000, 0, %(each)s, 0, 0
FROM billing_account a WHERE EXISTS (SELECT 1 FROM accounts_user u WHERE u.id = a.user_id AND u.email LIKE 'filled-%%');
INSERT INTO billing_ledgerentry (account_id, kind, bucket, available, held, reference, window_id, note, created_at)
SELECT account_id, 'renew', 'included', allowance, 0, 'window:' || id, id, '', now() FROM billing_usagewindow
WHERE allowance = 100000;
INSERT INTO billing_monthlyusage (account_id, month, app_used, api_used)
SELECT account_id, date_trunc('month', now())::date, 0, %(each)s FROM billing_usagewindow WHERE allowance = 100000;
INSERT INTO billing_hold (id, account_id, channel, request_id, bucket, window_id, month, state, created_at, settled_at)
SELECT gen_random_uuid(), w.account_id, 'api', 'filled', 'included', w.id, w.start::date, 'posted', now(), now()
FROM billing_usagewindow w, generate_series(1, %(each)s) WHERE w.allowance = 100000;
INSERT INTO billing_ledgerentry (account_id, kind, bucket, available, held, reference, window_id, hold_id, note, created_at)
SELECT account_id, 'hold', 'included', -1, 1, 'hold:' || id, window_id, id, '', now() FROM billing_hold
WHERE request_id = 'filled';
INSERT INTO billing_ledgerentry (account_id, kind, bucket, available, held, reference, window_id, hold_id, note, created_at)
SELECT account_id, 'post', 'included', 0, -1, 'settle:' || id, window_id, id, '', now() FROM billing_hold
WHERE request_id = 'filled';
SET session_replication_role = origin;
ANALYZE;
"""


def main() -> None:
    before, rows = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with scratch_postgres() as database, scratch_redis(REDIS_BENCH_DATABASE) as cache, tempfile.TemporaryDirectory() as var:
        common: dict[str, Any] = {
            "DATABASE_URL": database,
            "REDIS_URL": cache,
            "WEB_PROCESSES": "2",
            "RATE_LIMIT_ENABLED": "0",
        }
        common |= {"SECRET_KEY": secrets.token_hex(32), "API_KEY_PEPPER": secrets.token_hex(32)}
        folders = [Path(var) / name for name in ("old", "new")]
        for folder in folders:
            folder.mkdir()
        old = Deployment(folders[0], **common)
        old.root = before
        new = Deployment(folders[1], **common)
        try:
            run(old, new, database, rows, is_migration_only="--migration-only" in sys.argv)
        finally:
            old.stop()
            new.stop()


def run(old: Deployment, new: Deployment, database: str, rows: int, *, is_migration_only: bool = False) -> None:
    old.manage("migrate", "--verbosity", "0")
    with psycopg.connect(database, autocommit=True) as server:
        psycopg.ClientCursor(server).execute(FILL, {"accounts": FILLED_ACCOUNTS, "each": rows // 2 // FILLED_ACCOUNTS})
        [count] = server.execute("SELECT count(*) FROM billing_ledgerentry").fetchone() or [0]
    say(f"ledger rows      {count:,}")
    accounts = [old.call("open_account", included=INCLUDED, prepaid=PREPAID) for _ in range(ACCOUNTS)]
    if not is_migration_only:
        say(f"reconcile before {timed(lambda: old.manage('reconcile'))}")
    old.serve()
    with load([old], accounts) as delivered:
        time.sleep(SECONDS_BEFORE)
        with watch_locks(database) as longest:
            say(f"migration        {timed(lambda: new.manage('migrate', '--verbosity', '0') or 'done')}")
        held, waited = (f"{1000 * longest[name]:.0f} ms at most" for name in ("held", "waited"))
        say(f"exclusive lock   {held}; others waited {waited}")
        time.sleep(1)
    say(f"the release before, during the migration: {dict(delivered)}")
    if is_migration_only:
        return
    new.serve()
    new.call("set_price", operation="image", hundredths=25)
    with load([old, new], accounts) as delivered:
        for _ in range(KILLS):
            time.sleep(0.7)
            for one in (old, new):
                os.kill(random.choice(one.workers()), signal.SIGKILL)  # noqa: S311 - no secret
        time.sleep(0.7)
    say(f"both releases at once, {2 * KILLS} processes killed: {dict(delivered)}")
    deadline = time.monotonic() + LAST_SECONDS
    with load([new], accounts) as delivered:
        while delivered["new 429"] < 200 and time.monotonic() < deadline:
            time.sleep(0.1)
    say(f"this release, to the last quarter: {dict(delivered)}")
    old.stop()
    say(f"swept            {new.call('sweep')}")
    prove(new, accounts)


def prove(new: Deployment, accounts: list[dict[str, str]]) -> None:
    """Every figure of every account, and that no credit is left or missing where all were asked for."""
    figures = [new.call("read_one", email=account["email"]) for account in accounts]
    wrong = [line for one in figures for line in one["differences"] + one["reconciled"]]
    states = sum((Counter(one["states"]) for one in figures), Counter[str]())
    prices = sum((Counter(one["prices"]) for one in figures), Counter[str]())
    left = sum(one["included"] + one["prepaid"] for one in figures)
    spent = sum(int(price) * number for price, number in prices.items()) / 100
    say(f"holds            {dict(states)}, posted by price in hundredths: {dict(prices)}")
    say(f"credits          {ACCOUNTS * (INCLUDED + PREPAID)} = {spent:g} spent + {left:g} left")
    assert spent + left == ACCOUNTS * (INCLUDED + PREPAID)
    assert states.get("held", 0) == 0
    say(f"reconcile after  {timed(lambda: new.manage('reconcile'))}; independent audit: {wrong or 'exact'}")
    assert not wrong


def say(text: str) -> None:
    print(text, flush=True)


def small_png() -> bytes:
    image = io.BytesIO()
    Image.new("RGB", (8, 6), "orange").save(image, "PNG")
    return image.getvalue()


def timed(act: Callable[[], str]) -> str:
    started = time.perf_counter()
    said = act().strip()
    return f"{said} in {time.perf_counter() - started:.1f} s"


@contextmanager
def load(deployments: list[Deployment], accounts: list[dict[str, str]]) -> Iterator[Counter[str]]:
    """Requests of all accounts to all deployments for as long as the block runs. Counts answers by deployment and status."""
    image, ended, answers = small_png(), threading.Event(), Counter[str]()
    guard = threading.Lock()

    def send(number: int) -> None:
        moments = random.Random(number)  # noqa: S311 - no secret
        while not ended.is_set():
            index = moments.randrange(len(deployments))
            account = moments.choice(accounts)
            try:
                status = str(deployments[index].cut_out(account["key"], image).status_code)
            except requests.RequestException:
                status = "connection lost"
                time.sleep(0.02)
            with guard:
                answers[f"{deployments[index].folder.name} {status}"] += 1

    with ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(send, number) for number in range(SENDERS)]
        try:
            yield answers
        finally:
            ended.set()
        for one in sending:
            one.result()


# For how long a transaction with an exclusive lock on a table has run, and another statement has waited for a table.
LOCKS = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - a.xact_start)) FILTER (WHERE EXISTS (
           SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.relation = ANY(%s)
           AND l.mode = 'AccessExclusiveLock')), 0),
       coalesce(max(extract(epoch FROM clock_timestamp() - a.query_start)) FILTER (
           WHERE a.wait_event = 'relation' AND a.query NOT LIKE 'BEGIN%%'), 0)
FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
"""


@contextmanager
def watch_locks(database: str) -> Iterator[dict[str, float]]:
    """The longest of both times, in seconds, while the block runs."""
    longest, ended = {"held": 0.0, "waited": 0.0}, threading.Event()

    def watch() -> None:
        with psycopg.connect(database, autocommit=True) as server:
            # New tables are locked by the transaction that creates them, and no one misses them.
            tables = [oid for (oid,) in server.execute("SELECT oid FROM pg_class WHERE relkind = 'r'")]
            while not ended.is_set():
                held, waited = server.execute(LOCKS, [tables]).fetchone() or (0, 0)
                longest["held"] = max(longest["held"], float(held))
                longest["waited"] = max(longest["waited"], float(waited))
                time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield longest
    finally:
        ended.set()
        watcher.join()


if __name__ == "__main__":
    main()
