"""How long checking an API key takes: valid, wrong but well-formed, and garbage. One query, or none, on SQLite."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 2000
OTHERS = 10_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VAR_DIR"] = folder
        os.environ["DATABASE_URL"] = f"sqlite:///{Path(folder) / 'db.sqlite3'}"
        os.environ["REDIS_URL"] = ""
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        import django

        django.setup()
        _run()


def _run() -> None:
    from django.core.management import call_command

    from accounts.authentication import find_live_key
    from accounts.keys import find_key, new_key
    from accounts.models import ApiKey, User

    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench@example.com")
    keys = [
        ApiKey(user=user, name="other", lookup=text.lookup, digest=text.digest())
        for text in (new_key() for _ in range(OTHERS))
    ]
    ApiKey.objects.bulk_create(keys)
    text = new_key()
    right = text.text
    ApiKey.objects.create(user=user, name="right", lookup=text.lookup, digest=text.digest())

    def check(sent: str) -> None:
        parsed = find_key(sent)
        if parsed is not None:
            find_live_key(parsed)

    cases = {"correct": lambda: right, "wrong, well-formed": lambda: new_key().text, "garbage": lambda: right[:-1] + "!"}
    print(f"{'key':20} {'median ms':>10} {'p99 ms':>10}   ({ROUNDS} checks each, {len(keys) + 1} keys)")
    for name, make in cases.items():
        times = _measure(check, [make() for _ in range(ROUNDS)])
        print(f"{name:20} {statistics.median(times):10.3f} {statistics.quantiles(times, n=100)[98]:10.3f}")


def _measure(check: Callable[[str], None], sent: list[str]) -> list[float]:
    """Milliseconds of each check."""
    times = []
    for text in sent:
        started = time.perf_counter()
        check(text)
        times.append((time.perf_counter() - started) * 1000)
    return times


if __name__ == "__main__":
    main()
