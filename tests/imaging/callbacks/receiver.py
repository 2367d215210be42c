"""Batches with callbacks, and the servers that receive them."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from billing.credits import ledger
from imaging import callbacks
from imaging.callbacks import delivery
from imaging.models import Batch, BatchItem, Callback
from tests.hosts import Host, Reply, answer, networks

OK, BROKEN = answer(b"thanks"), answer(b"oops", status="500 Internal Server Error")


def ended_batch(user: User, url: str, state: str = Batch.State.FINISHED, **counts: int) -> Batch:
    """A batch that has ended, with these numbers of items in each state, announced like any batch's end."""
    now = timezone.now()
    batch = Batch.objects.create(
        account=ledger.get_account(user), channel="api", request_id="request-4711", callback_url=url, state=state,
        finished_at=now, expires_at=now + timedelta(hours=24),
    )  # fmt: skip
    states = [state for state, count in counts.items() for _ in range(count)]
    for position, item_state in enumerate(states):
        BatchItem.objects.create(batch=batch, position=position, name=f"{position}.png", state=item_state)
    with transaction.atomic():
        callbacks.announce(batch)
    return batch


def try_now() -> int:
    """Advance time to the next try, and make it."""
    Callback.objects.filter(state=Callback.State.PENDING).update(next_try_at=timezone.now())
    return delivery.try_due(10)


@pytest.fixture
def receiver(settings, hosts: Callable[..., Host]) -> Iterator[Callable[[Reply], Host]]:
    """Makes servers on a loopback address that callbacks may reach."""
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.0/8")

    def make(reply: Reply, **options) -> Host:
        host = hosts(reply, **options)
        settings.CALLBACK_PORTS = [host.port]
        return host

    yield make


def url_of(host: Host, name: str = "127.0.0.1") -> str:
    """An address on one of the test servers."""
    return f"http://{name}:{host.port}/hooks/rembg?shop=7"
