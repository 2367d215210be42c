"""The dashboard with ten thousand and with a million credits spent in its window, and as many request records.

    python tests/bench/bench_dashboard.py

Runs in this process, through the whole of Django, on its own SQLite file. A window's first view counts all past days and is
reported separately.
"""

import os
import statistics
import tempfile
import time

FEW, MANY = 10_000, 1_000_000
PAGES = 21
# Of the window; the last one is today, on which TODAY credits are spent in both cases.
DAYS = 29
TODAY = 300
GOAL = 1.5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"VAR_DIR": folder, "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3", "LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django

        django.setup()
        run()


def run() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    emails = {credits: f"{credits}@example.com" for credits in (FEW, MANY)}
    for credits, email in emails.items():
        fill(email, credits)
    first, later = measure(list(emails.values()))
    for index, credits in enumerate(emails):
        once, then = first[index] * 1000, later[index] * 1000
        print(f"{credits:9,} credits: first view {once:8.1f} ms, then {then:6.1f} ms of CPU time (median of {PAGES})")
    print(f"from {FEW:,} to {MANY:,}: x {later[1] / later[0]:.2f}, goal at most x {GOAL}")


def measure(emails: list[str]) -> tuple[list[float], list[float]]:
    """Seconds of each account's first view, and the median of later views, with the accounts taking turns.

    CPU time: the database is in this process, and other work on the machine does not count.
    """
    from django.test import Client

    from accounts.models import User

    browsers = [Client() for _ in emails]
    for browser, email in zip(browsers, emails, strict=True):
        browser.force_login(User.objects.get(email=email))
    browsers[0].get("/status")  # templates and middleware are loaded by then
    taken: list[list[float]] = [[] for _ in emails]
    for _ in range(PAGES + 1):
        for browser, seconds in zip(browsers, taken, strict=True):
            started = time.process_time()
            assert browser.get("/dashboard").status_code == 200
            seconds.append(time.process_time() - started)
    return [seconds[0] for seconds in taken], [statistics.median(seconds[1:]) for seconds in taken]


def fill(email: str, credits: int) -> None:
    """An account whose window has `credits` posted holds, over DAYS days, two keys and the app, and a record of each."""
    from datetime import timedelta

    from django.db import connection
    from django.utils import timezone

    from accounts.models import ApiKey, User
    from billing.credits import ledger

    user = User.objects.create_user(email, "correct horse battery staple")
    user.verify_email()
    account = ledger.get_account(user)
    now = timezone.now()
    window = ledger.renew(account, account.plan, now - timedelta(days=DAYS), now + timedelta(days=1))
    keys = [ApiKey.objects.issue(user, name=name)[0].pk for name in ("one", "two")]
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %s - 1) "
    # The first TODAY of them within the last minutes, the others on the days before.
    moment = (
        "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', CASE WHEN i < %s THEN '-' || (i %% 60) || ' seconds' "
        "ELSE '-' || (1 + i %% (%s - 1)) || ' days' END)"
    )
    channel, key = "CASE i %% 3 WHEN 0 THEN 'app' ELSE 'api' END", "CASE i %% 3 WHEN 1 THEN %s WHEN 2 THEN %s END"
    into_holds = (
        "INSERT INTO billing_hold (id, account_id, key_id, channel, request_id, bucket, window_id, month, state, "
        "created_at, settled_at) "
    )
    holds = f"SELECT lower(hex(randomblob(16))), %s, {key}, {channel}, 'r' || i, 'included', %s, %s, 'posted', {moment}, "
    into_records = (
        "INSERT INTO billing_requestrecord (account_id, key_id, channel, request_id, status, code, credits, duration_ms, "
        "queue_ms, inference_ms, model, created_at) "
    )
    records = f"SELECT %s, {key}, {channel}, 'r' || i, 200, '', 1, 400, 0, 250, 'u2net', {moment} FROM n"  # noqa: S608 - no outsider's text
    with connection.cursor() as cursor:
        of_hold: list[int | str | None] = [
            credits,
            account.pk,
            *keys,
            window.pk,
            f"{now:%Y-%m-01}",
            TODAY,
            DAYS,
            TODAY,
            DAYS,
        ]
        cursor.execute(into_holds + numbers + holds + f"{moment} FROM n", of_hold)
        cursor.execute(into_records + numbers + records, [credits, account.pk, *keys, TODAY, DAYS])
        cursor.execute("ANALYZE")
    window.api_used, window.app_used = credits - credits // 3, credits // 3
    window.save()


if __name__ == "__main__":
    main()
