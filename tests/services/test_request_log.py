"""Request records of a running deployment: available within seconds, and not lost when it stops."""

import time
from pathlib import Path

import pytest

from tests.services.deployment import Deployment

pytestmark = pytest.mark.services

COUNT = "from billing.models import RequestRecord; print(RequestRecord.objects.count())"
CALLS = 5


def written(deployment: Deployment) -> int:
    return int(deployment.manage("shell", "--verbosity", "0", "--command", COUNT))


def test_records_are_written_while_it_runs_and_when_it_stops(tmp_path: Path, small_png: bytes):
    deployment = Deployment(tmp_path)
    deployment.start()
    try:
        key = deployment.issue_key("records@example.com")
        for _ in range(CALLS):
            assert deployment.cut_out(key, small_png).ok
        deadline = time.monotonic() + 20
        while written(deployment) < CALLS:
            assert time.monotonic() < deadline, deployment.log.read_text()
        assert deployment.cut_out("no-such-key", small_png).status_code == 401
    finally:
        deployment.stop()
    assert written(deployment) == CALLS + 1
