"""A batch of the running product, and the callback for its end: from the web process alone, without a broker."""

import threading

import pytest
import requests
from standardwebhooks import Webhook

from tests.hosts import Host, answer
from tests.imaging.batches.forms import batch_form
from tests.services.deployment import Deployment

pytestmark = pytest.mark.services

SECRET = "from imaging.models import CallbackSecret; print(CallbackSecret.objects.get().secret)"


def test_the_web_process_tells_of_a_batch(tmp_path, hosts, small_png):
    arrived = threading.Event()

    def reply(path: str) -> list[bytes]:
        arrived.set()
        return [answer()]

    host: Host = hosts(reply)
    running = Deployment(tmp_path, OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8", CALLBACK_PORTS=str(host.port))
    running.start()
    try:
        headers = {"x-api-key": running.issue_key("shop@example.com")}
        sent = batch_form(("a.png", small_png), callback_url=f"http://127.0.0.1:{host.port}/hooks")
        headers |= {"Content-Type": sent["content_type"]}
        made = requests.post(f"{running.url}/api/batches", sent["data"], headers=headers, timeout=60).json()
        assert arrived.wait(60)
        secret = running.manage("shell", "--no-imports", "-c", SECRET).strip()
    finally:
        running.stop()
    head = dict(line.split(": ", 1) for line in host.requests[0].strip().splitlines()[1:])
    event = Webhook(secret).verify(host.bodies[0], head)
    assert (event["type"], event["data"]["id"], event["data"]["counts"]["done"]) == ("batch.finished", made["id"], 1)
    assert len(host.requests) == 1
