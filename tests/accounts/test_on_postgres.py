"""The tests that need row locks of a real database server, run once more on PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail

ROOT = Path(__file__).resolve().parent.parent.parent
POSTGRES_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
SUITES = [
    "tests/accounts/test_concurrency.py",
    "tests/billing/test_ledger.py",
    "tests/billing/test_reconcile.py",
    "tests/imaging/test_callbacks_at_once.py",
    "tests/imaging/test_ended_accounts_at_once.py",
]


@pytest.mark.services
@pytest.mark.skipif(os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="this run is on PostgreSQL already")
def test_accounts_and_credits_hold_on_postgresql():
    psycopg = pytest.importorskip("psycopg")
    try:
        psycopg.connect(POSTGRES_URL, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        skip_or_fail(f"there is no PostgreSQL at {POSTGRES_URL}: {error}")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--create-db", *SUITES]
    environment = {**os.environ, "DATABASE_URL": POSTGRES_URL}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " skipped" not in done.stdout.splitlines()[-1]
