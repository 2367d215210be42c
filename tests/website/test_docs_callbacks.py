"""The receivers on `/docs/callbacks`, as a reader copies them, called by the product's real delivery."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.utils import timezone

from billing.credits import ledger
from imaging.callbacks.secrets import get_secret, rotate, sign
from imaging.models import Callback, CallbackTry
from tests.conftest import skip_or_fail
from tests.hosts import networks
from tests.imaging.callbacks.receiver import ended_batch, try_now
from tests.website.test_docs_samples import Samples

pytestmark = pytest.mark.django_db


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)


class Receiver:
    """A running sample."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.url, self.port, self.process = f"http://127.0.0.1:{port}/hooks", port, process

    def said(self) -> str:
        """The next line that it printed."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture(params=["python", "node"])
def receiver(request, client, user, settings, tmp_path: Path) -> Iterator[Receiver]:
    if request.param == "node" and not shutil.which("node"):
        skip_or_fail("there is no Node")
    code = Samples(client.get("/docs/callbacks").content.decode()).found[f"callback-{request.param}"]
    port = free_port()
    settings.OUTBOUND_ALLOWED_NETWORKS, settings.CALLBACK_PORTS = networks("127.0.0.1"), [port]
    assert "8080" in code
    program = tmp_path / ("sample.py" if request.param == "python" else "sample.mjs")
    program.write_text(code.replace("8080", str(port)))
    environment = {**os.environ, "CALLBACK_SECRET": get_secret(ledger.get_account(user)).secret}
    command = [sys.executable if request.param == "python" else "node", str(program)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(port, process)
        yield Receiver(port, process)
        process.kill()


def test_a_callback_is_taken_once_and_only_if_it_is_genuine(receiver, user):
    account = ledger.get_account(user)
    first = ended_batch(user, receiver.url, done=2, failed=1)
    try_now()
    assert Callback.objects.get().state == "delivered"
    assert receiver.said() == f"{first.pk} finished 2"

    body, now = '{"data":{"id":"1","status":"finished","counts":{"done":1}}}', timezone.now()
    genuine = sign(get_secret(account), "message-1", now, body)

    def post(body: str = body, **changed: str) -> int:
        headers = genuine | {f"webhook-{name}": value for name, value in changed.items()}
        return requests.post(receiver.url, body, headers=headers, timeout=10).status_code

    old = sign(get_secret(account), "message-1", now - timedelta(seconds=301), body)
    assert post(body.replace("1", "2")) == 400
    assert post(id="message-2") == 400
    assert post(timestamp=str(int(now.timestamp()) + 1)) == 400
    assert post(timestamp=old["webhook-timestamp"], signature=old["webhook-signature"]) == 400
    assert post(signature="v1,AAAA") == 400
    assert post(signature="v2," + genuine["webhook-signature"][3:]) == 400
    assert post() == 204
    assert receiver.said() == "1 finished 1"
    assert post() == 204, "a second time it is taken and skipped"

    rotate(account)
    second = ended_batch(user, receiver.url)
    try_now()
    assert receiver.said() == f"{second.pk} finished 0"
    assert list(CallbackTry.objects.values_list("status", flat=True)) == [204, 204]
