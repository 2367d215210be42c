"""Callbacks: delivered once however many tries it takes, signed, and never to an address closed to customers."""

import base64
import hashlib
import hmac
import itertools
import json
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from imaging import callbacks
from imaging.callbacks import delivery, tasks
from imaging.callbacks.announcing import CallbackGone, TriesUsedUp
from imaging.callbacks.backoff import DELAYS, WINDOW
from imaging.callbacks.secrets import OVERLAP, get_secret, rotate
from imaging.models import Batch, Callback, CallbackSecret, CallbackTry
from tests.hosts import Host, answer, networks, redirect
from tests.imaging.callbacks.receiver import BROKEN, OK, ended_batch, receiver, try_now, url_of

pytestmark = pytest.mark.django_db
__all__ = ["receiver"]


def headers_of(request: str) -> dict[str, str]:
    """The headers of a request's head, names in lower case."""
    lines = [line.split(": ", 1) for line in request.strip().splitlines()[1:]]
    return {name.lower(): value for name, value in lines}


def attempts() -> list[tuple[int, int | None, str]]:
    return list(CallbackTry.objects.values_list("number", "status", "error"))


# --- Delivery -------------------------------------------------------------------------------------


def test_five_times_500_and_then_200_is_one_delivery_with_a_valid_signature(user, receiver):
    replies = iter([BROKEN] * 5 + [OK] * 5)
    host = receiver(lambda path: [next(replies)])
    batch = ended_batch(user, url_of(host), done=2, failed=1)
    callback = Callback.objects.get()
    assert [try_now() for _ in range(8)] == [1] * 6 + [0, 0]

    callback.refresh_from_db()
    assert (callback.state, callback.tries) == ("delivered", 6)
    assert attempts() == [(number, 500, "") for number in range(1, 6)] + [(6, 200, "")]
    assert len(host.requests) == 6
    assert len(set(host.bodies)) == 1

    secret = CallbackSecret.objects.get(account__user=user).secret
    ids = set()
    for request, body in zip(host.requests, host.bodies, strict=True):
        headers = headers_of(request)
        event = Webhook(secret).verify(body, headers)
        ids.add(headers["webhook-id"])
    assert ids == {str(callback.pk)}
    assert event["type"] == "batch.finished"
    assert event["data"]["counts"] == {"total": 3, "done": 2, "failed": 1, "cancelled": 0}
    assert (event["data"]["id"], event["data"]["status_url"]) == (str(batch.id), f"/api/batches/{batch.id}")


def test_the_signature_by_hand(user, receiver):
    """As the standard describes it, without its library."""
    host = receiver(lambda path: [OK])
    ended_batch(user, url_of(host))
    try_now()
    headers, body = headers_of(host.requests[0]), host.bodies[0].decode()
    key = base64.b64decode(get_secret(user.account).secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert 32 <= len(key) <= 64
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60
    assert host.requests[0].startswith("POST /hooks/rembg?shop=7 HTTP/1.1\r\n")
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "Offcut"


def test_a_cancelled_batch_is_reported_as_such_with_its_full_address(user, receiver, settings):
    settings.PUBLIC_URL = "https://cutouts.example.com"
    host = receiver(lambda path: [OK])
    batch = ended_batch(user, url_of(host), Batch.State.CANCELLED, cancelled=1)
    try_now()
    event = json.loads(host.bodies[0])
    assert (event["type"], event["data"]["status"]) == ("batch.cancelled", "cancelled")
    assert event["data"]["status_url"] == f"https://cutouts.example.com/api/batches/{batch.id}"


def test_a_batch_is_announced_once_and_one_without_an_address_never(user, receiver):
    host = receiver(lambda path: [OK])
    batch = ended_batch(user, url_of(host))
    callbacks.announce(batch)
    ended_batch(user, "")
    assert (try_now(), try_now(), Callback.objects.count(), len(host.requests)) == (1, 0, 1, 1)


def test_with_a_broker_the_first_try_is_a_task_after_the_commit(
    user, receiver, settings, django_capture_on_commit_callbacks
):
    settings.CELERY_BROKER_URL = "memory://"  # tasks still run eagerly
    host = receiver(lambda path: [BROKEN])
    with django_capture_on_commit_callbacks(execute=True):
        ended_batch(user, url_of(host))
        assert host.requests == []
    assert attempts() == [(1, 500, "")]
    tasks.sweep_callbacks()
    assert len(host.requests) == 1, "it is not due yet"
    Callback.objects.update(next_try_at=timezone.now())
    tasks.sweep_callbacks()
    assert attempts() == [(1, 500, ""), (2, 500, "")]


# --- What does not count as delivered --------------------------------------------------------------


def test_gone_ends_it_at_once(user, receiver):
    host = receiver(lambda path: [answer(status="410 Gone")])
    ended_batch(user, url_of(host))
    assert (try_now(), try_now()) == (1, 0)
    assert (Callback.objects.get().state, attempts()) == ("failed", [(1, 410, "")])


def test_an_address_that_was_erased_ends_it_at_once(user, receiver):
    batch = ended_batch(user, url_of(receiver(lambda path: [OK])))
    Batch.objects.filter(pk=batch.pk).update(callback_url="")
    assert (try_now(), try_now()) == (1, 0)
    assert (Callback.objects.get().state, attempts()) == ("failed", [(1, None, delivery.NOT_AN_ADDRESS)])


def test_a_redirect_is_not_followed(user, receiver):
    host = receiver(lambda path: [redirect("/elsewhere")])
    ended_batch(user, url_of(host))
    try_now()
    assert (Callback.objects.get().state, attempts()) == ("pending", [(1, 302, "")])
    assert len(host.requests) == 1


def test_a_server_that_says_nothing(user, receiver, settings):
    settings.CALLBACK_SECONDS = 0.2
    host: Host = receiver(lambda path: [] if host.stopping.wait(2) else [OK])
    ended_batch(user, url_of(host))
    try_now()
    assert attempts() == [(1, None, delivery.TOO_SLOW)]
    host.stopping.set()


def test_a_server_that_drips_its_answer(user, receiver, settings):
    settings.CALLBACK_SECONDS = 0.3
    host: Host = receiver(lambda path: host.drip(b"HTTP/1.1 200 OK\r\nX-Slow: "))
    ended_batch(user, url_of(host))
    try_now()
    assert attempts() == [(1, None, delivery.TOO_SLOW)]


def test_a_body_without_end_is_not_read(user, receiver):
    host: Host = receiver(lambda path: host.drip(answer(b"0", length=10**12)))
    ended_batch(user, url_of(host))
    try_now()
    assert attempts() == [(1, 200, "")]


def test_no_server_listens(user, receiver, hosts):
    host = receiver(lambda path: [OK])
    host.stop()
    ended_batch(user, url_of(host))
    try_now()
    assert attempts() == [(1, None, delivery.UNREACHABLE)]


def test_a_fault_of_ours_is_a_try_that_failed(user, receiver, caplog):
    host = receiver(lambda path: [OK])
    ended_batch(user, url_of(host))
    get_secret(user.account)
    CallbackSecret.objects.update(secret="whsec_")  # nothing can be signed with it
    assert (try_now(), delivery.try_due(1)) == (1, 0)
    assert attempts() == [(1, None, delivery.OUR_FAULT)]
    assert "callback not sent" in caplog.text


@pytest.mark.parametrize("name", ["127.0.0.1", "private.test", "metadata.test", "mixed.test", "unknown.test"])
def test_what_is_not_public_is_not_connected_to(user, receiver, settings, names, name):
    names.answers = {
        "private.test": [["10.0.0.5"]], "metadata.test": [["169.254.169.254"]], "mixed.test": [["8.8.8.8", "127.0.0.1"]],
    }  # fmt: skip
    host = receiver(lambda path: [OK])
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    ended_batch(user, url_of(host, name))
    try_now()
    assert attempts() == [(1, None, delivery.NOT_PUBLIC)]
    assert host.connections == 0


def test_a_name_that_moves_between_two_tries_is_checked_again(user, receiver, settings, names):
    host = receiver(lambda path: [BROKEN])
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.1")
    names.answers = {"rebinding.test": [["127.0.0.1"], ["127.0.0.2"]]}
    ended_batch(user, url_of(host, "rebinding.test"))
    try_now()
    try_now()
    assert attempts() == [(1, 500, ""), (2, None, delivery.NOT_PUBLIC)]
    assert names.looked_up == ["rebinding.test"] * 2
    assert host.connections == 1


# --- When, and how often ----------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set: a minute ahead, since column defaults use the real one."""

    class Clock:
        moment = timezone.now() + timedelta(minutes=1)

        def __call__(self):
            return self.moment

    made = Clock()
    monkeypatch.setattr(timezone, "now", made)
    return made


def fail_until_given_up(clock) -> list[datetime]:
    """Try at each moment that is due; return the moments."""
    moments = []
    while (callback := Callback.objects.get()).state == "pending":
        clock.moment = max(clock.moment, callback.next_try_at)
        moments.append(clock.moment)
        assert delivery.try_due(10) == 1
        clock.moment += timedelta(seconds=15)
    return moments


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_it_is_tried_for_almost_a_day_and_never_for_longer(user, receiver, clock, monkeypatch, share):
    monkeypatch.setattr("random.uniform", lambda low, high: high * share)
    host = receiver(lambda path: [BROKEN])
    host.stop()
    ended_batch(user, url_of(host))
    moments = fail_until_given_up(clock)
    assert len(moments) == len(DELAYS) + 1
    assert timedelta(hours=20) < moments[-1] - moments[0] < WINDOW
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert waits == sorted(waits)
    assert Callback.objects.get().state == "failed"


def test_after_an_outage_of_our_own_no_try_is_later_than_a_day(user, receiver, clock):
    host = receiver(lambda path: [BROKEN])
    host.stop()
    ended_batch(user, url_of(host))
    delivery.try_due(1)
    clock.moment += WINDOW - timedelta(seconds=20)
    delivery.try_due(1)
    assert (Callback.objects.get().state, Callback.objects.get().tries) == ("failed", 2)


def test_a_callback_that_is_being_tried_is_not_tried_by_another(user, receiver, clock, monkeypatch):
    tried_meanwhile = []
    host = receiver(lambda path: [OK])
    ended_batch(user, url_of(host))
    post = delivery._post

    def while_another_looks(callback):
        tried_meanwhile.append(delivery.try_due(10))
        return post(callback)

    monkeypatch.setattr(delivery, "_post", while_another_looks)
    assert delivery.try_due(10) == 1
    assert tried_meanwhile == [0]
    assert len(host.requests) == 1


def test_a_try_that_was_killed_is_made_again(user, receiver, clock, monkeypatch):
    host = receiver(lambda path: [OK])
    ended_batch(user, url_of(host))

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "_settle", killed)
        with pytest.raises(KeyboardInterrupt):
            delivery.try_due(10)
    assert delivery.try_due(10) == 0, "the lease is not over"
    clock.moment += timedelta(minutes=2)
    assert delivery.try_due(10) == 1
    assert (Callback.objects.get().state, attempts()) == ("delivered", [(2, 200, "")])
    assert len({headers_of(request)["webhook-id"] for request in host.requests}) == 1


def test_who_outlived_the_lease_changes_only_what_is_still_open(user, receiver):
    """A first try that ends after the second one has failed: its failure changes nothing, its success would count."""
    host = receiver(lambda path: [BROKEN])
    ended_batch(user, url_of(host))
    late = delivery._lease(Callback.objects.get().pk)
    assert late is not None
    try_now()
    scheduled = Callback.objects.get().next_try_at
    delivery._settle(late, delivery.Outcome(timezone.now(), 503, "", 5))
    assert (Callback.objects.get().next_try_at, Callback.objects.get().tries) == (scheduled, 2)
    assert [status for _, status, _ in attempts()] == [503, 500]
    CallbackTry.objects.filter(number=1).delete()
    delivery._settle(late, delivery.Outcome(timezone.now(), 200, "", 5))
    assert Callback.objects.get().state == "delivered"


# --- Once more, by hand ------------------------------------------------------------------------------


def test_a_callback_that_was_given_up_gets_one_more_try(user, receiver, clock):
    host = receiver(lambda path: [answer(status="410 Gone")])
    ended_batch(user, url_of(host))
    delivery.try_due(1)
    clock.moment += timedelta(days=2)
    callbacks.send_again(callback := Callback.objects.get())
    assert (callback.state, callback.next_try_at) == ("pending", clock.moment)
    host.reply = lambda path: [BROKEN]
    assert delivery.try_due(1) == 1
    assert Callback.objects.get().state == "failed"
    callbacks.send_again(Callback.objects.get())
    host.reply = lambda path: [OK]
    assert delivery.try_due(1) == 1
    assert Callback.objects.get().state == "delivered"
    assert [status for _, status, _ in attempts()] == [410, 500, 200]


def test_one_that_waits_is_tried_now(user, receiver):
    host = receiver(lambda path: [BROKEN])
    ended_batch(user, url_of(host))
    delivery.try_due(1)
    assert delivery.try_due(1) == 0
    callbacks.send_again(Callback.objects.get())
    assert delivery.try_due(1) == 1


def test_one_that_is_being_tried_is_left_alone(user, receiver):
    ended_batch(user, url_of(receiver(lambda path: [OK])))
    leased = delivery._lease(Callback.objects.get().pk)
    assert leased is not None
    callbacks.send_again(Callback.objects.get())
    assert Callback.objects.get().next_try_at == leased.next_try_at


def test_sending_again_ends_and_never_reaches_an_erased_address(user, receiver):
    batch = ended_batch(user, url_of(receiver(lambda path: [BROKEN])))
    delivery.try_due(1)
    Callback.objects.update(tries=100)
    CallbackTry.objects.update(number=100)
    with pytest.raises(TriesUsedUp):
        callbacks.send_again(Callback.objects.get())
    Batch.objects.filter(pk=batch.pk).update(callback_url="")
    with pytest.raises(CallbackGone):
        callbacks.send_again(Callback.objects.get())


# --- The secret ---------------------------------------------------------------------------------------


def test_for_a_day_after_a_rotation_both_secrets_sign(user, receiver, clock):
    old = get_secret(user.account).secret
    new = rotate(user.account).secret
    assert old != new
    host = receiver(lambda path: [BROKEN])
    ended_batch(user, url_of(host))
    delivery.try_due(1)
    headers, body = headers_of(host.requests[0]), host.bodies[0]
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_c29tZWJvZHkgZWxzZQ==").verify(body, headers)
    clock.moment += OVERLAP
    Callback.objects.update(next_try_at=clock.moment)
    delivery.try_due(1)
    assert " " not in headers_of(host.requests[1])["webhook-signature"]


def test_the_secret_is_made_once(user):
    assert get_secret(user.account).secret == get_secret(user.account).secret
    assert CallbackSecret.objects.count() == 1
