"""Callbacks at the support desk."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from accounts.models import User
from imaging.callbacks import delivery
from imaging.models import Callback
from tests.billing.support.staff import browser_of, make_staff
from tests.imaging.callbacks.receiver import BROKEN, ended_batch, receiver, url_of

pytestmark = pytest.mark.django_db
__all__ = ["receiver"]
LIST = "/admin/imaging/callback/"


@pytest.fixture
def callback(user, receiver) -> Callback:
    """A callback that was tried once and failed."""
    ended_batch(user, url_of(receiver(lambda path: [BROKEN])))
    delivery.try_due(1)
    return Callback.objects.get()


def post_retry(browser, callback: Callback, reason: str = "the customer asked for it"):
    data = {"action": "try_again", "_selected_action": [str(callback.pk)], "reason": reason}
    return browser.post(LIST, data, follow=True)


@pytest.mark.parametrize("group", ["Support", "Readers"])
def test_staff_see_callbacks_and_their_tries_and_no_secret(callback, group):
    browser = browser_of(make_staff(group))
    for term in (str(callback.batch_id), str(callback.pk), "request-4711", "customer@example.com"):
        assert str(callback.batch_id) in browser.get(LIST, {"q": term}).content.decode(), term
    assert "0 callbacks" in browser.get(LIST, {"q": "somebody@example.com"}).content.decode()
    page = browser.get(reverse("admin:imaging_callback_change", args=[callback.pk])).content.decode()
    assert ">500<" in page.replace("\n", "")
    assert "hooks/rembg" not in page
    assert "whsec_" not in page


def test_support_sends_once_more_and_says_why(callback):
    before = callback.next_try_at
    response = post_retry(browser_of(make_staff("Support")), callback)
    assert f"Batch {callback.batch_id} will be reported again." in response.content.decode()
    callback.refresh_from_db()
    assert callback.next_try_at < before
    [entry] = LogEntry.objects.all()
    assert (entry.object_repr, entry.change_message) == (
        "customer@example.com",
        f"Callback of batch {callback.batch_id} sent once more. Reason: the customer asked for it",
    )


@pytest.mark.parametrize("case", ["reader", "no reason", "staff's own"])
def test_who_may_not(callback, case):
    before = callback.next_try_at
    if case == "staff's own":
        User.objects.update(is_staff=True)
    group = "Readers" if case == "reader" else "Support"
    post_retry(browser_of(make_staff(group)), callback, "" if case == "no reason" else "why not")
    callback.refresh_from_db()
    assert callback.next_try_at == before
    assert not LogEntry.objects.exists()


def test_no_one_edits_or_deletes_one(callback):
    root = browser_of(User.objects.create_superuser("root@example.com", "correct horse"))
    for act in ("change", "delete"):
        assert root.post(f"{LIST}{callback.pk}/{act}/", {"state": "delivered", "post": "yes"}).status_code == 403
    assert root.post(f"{LIST}add/").status_code == 403
    assert Callback.objects.get().state == "pending"
