"""`/batches`: what a customer sees of batches, and what they can do there."""

import io
import re
import zipfile
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.models import Hold
from imaging.callbacks import delivery
from imaging.models import Batch, BatchItem, Callback, CallbackTry
from tests.hosts import networks
from tests.imaging.batches.forms import content_of, post, work_through
from tests.imaging.callbacks.receiver import BROKEN, OK, ended_batch, receiver, url_of

pytestmark = pytest.mark.django_db
__all__ = ["receiver"]


@pytest.fixture
def owner(user: User) -> Client:
    """The customer's browser."""
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def batch(quick_model, pictures, key, small_png) -> Batch:
    """Two good images and a bad one, not processed yet."""
    sent = [("shop/chair.png", small_png), ("lamp.png", small_png), ("notes.png", b"no picture")]
    answer = post(key, *sent, format="jpeg", callback_url="https://shop.example.com/hooks?token=1")
    assert answer.status_code == 202, answer.content
    return Batch.objects.get()


def text_of(response) -> str:
    """The text a reader sees."""
    html = re.sub(r"<(script|head).*?</\1>", "", response.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def page(batch: Batch, rest: str = "") -> str:
    return f"/batches/{batch.pk}{rest}"


# --- What is shown --------------------------------------------------------------------------------


def test_without_batches_the_list_says_how_to_send_one(owner):
    assert "No batches yet" in text_of(owner.get("/batches"))


def test_a_batch_at_work(owner, batch):
    in_list, alone = text_of(owner.get("/batches")), text_of(owner.get(page(batch)))
    assert "In progress" in in_list
    assert re.search(r"[01] of 3 pictures", in_list)
    assert "Cancel the rest" in alone
    assert "shop/chair.png Waiting" in alone
    assert "set aside" in alone
    assert "https://shop.example.com/hooks?token=1" in alone
    assert "When the batch ends" in alone
    assert "format=jpeg" in alone
    assert "Download all" not in alone
    assert "Erase the pictures" not in alone


def test_a_finished_batch(owner, batch):
    work_through()
    in_list, alone = text_of(owner.get("/batches")), text_of(owner.get(page(batch)))
    assert "3 of 3 pictures · 1 failed" in in_list
    assert "Download zip" in in_list
    assert "Finished" in alone
    assert "Credits charged 2" in alone
    assert "Failed File does not appear to be a valid image (invalid file signature)" in alone
    assert "8 × 6" in alone
    assert "Download all as zip" in alone
    assert "Cancel the rest" not in alone


def test_only_those_that_failed(owner, batch):
    work_through()
    failed = text_of(owner.get(page(batch, "?show=failed")))
    assert "notes.png" in failed
    assert "lamp.png" not in failed


def test_only_the_doubtful(owner, batch):
    work_through()
    assert "doubtful" not in text_of(owner.get(page(batch))), "the stand-in for the model is always sure"
    lamp = batch.items.get(name="lamp.png")
    batch.items.filter(pk=lamp.pk).update(confidence=0.5)
    assert "Show the 1 doubtful" in text_of(owner.get(page(batch)))
    doubtful = text_of(owner.get(page(batch, "?show=doubtful")))
    assert "lamp.png Done Doubtful" in doubtful
    assert "notes.png" not in doubtful


def test_reasons_in_the_readers_language(owner, batch, user):
    work_through()
    user.language = "ar"
    user.save()
    html = owner.get(page(batch)).content.decode()
    assert "invalid file signature" not in html


def test_the_part_that_moves_comes_alone(owner, batch):
    for path in ("/batches", page(batch)):
        part = owner.get(path, {"part": "live"}).content.decode()
        assert "<html" not in part
        assert 'data-state="open"' in part
    work_through()
    assert 'data-percent="100"' in owner.get(page(batch), {"part": "live"}).content.decode()


def test_long_lists_are_paged_at_the_same_number_of_queries(owner, batch, django_assert_max_num_queries):
    items = [BatchItem(batch=batch, position=number, name=f"{number}.png") for number in range(3, 120)]
    BatchItem.objects.bulk_create(items)
    with django_assert_max_num_queries(10):
        first = text_of(owner.get(page(batch)))
    last = text_of(owner.get(page(batch, "?page=3")))
    assert "Page 1 of 3" in first
    assert "49.png" in first
    assert "50.png" not in first
    assert "119.png" in last
    for number in range(25):
        Batch.objects.create(
            account=batch.account, channel="app", request_id=f"r{number}", expires_at=batch.expires_at,
        )  # fmt: skip
    with django_assert_max_num_queries(8):
        assert "Page 1 of 2" in text_of(owner.get("/batches"))


# --- What can be taken away -----------------------------------------------------------------------


def test_all_results_as_one_zip(owner, batch):
    work_through()
    answer = owner.get(page(batch, "/zip"))
    with zipfile.ZipFile(io.BytesIO(content_of(answer))) as archive:
        assert archive.namelist() == ["shop/chair.jpg", "lamp.jpg"] or archive.namelist() == ["shop/chair.jpeg", "lamp.jpeg"]
        assert all(archive.read(name).startswith(b"\xff\xd8") for name in archive.namelist())


def test_one_result(owner, batch):
    work_through()
    answer = owner.get(page(batch, "/items/1"))
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert content_of(answer).startswith(b"\xff\xd8")


def test_what_is_missing_is_reported_on_a_page(owner, batch):
    for rest in ("/zip", "/items/0", "/items/7"):
        answer = owner.get(page(batch, rest))
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


# --- What can be done -----------------------------------------------------------------------------


def test_cancelling_gives_the_credits_back(owner, batch):
    answer = owner.post(page(batch, "/cancel"), follow=True)
    assert "Cancelled. Pictures that were not done cost nothing." in text_of(answer)
    batch.refresh_from_db()
    assert batch.state == "cancelled"
    assert not Hold.objects.filter(state="held").exists()
    assert "Cancelled." not in text_of(owner.post(page(batch, "/cancel"), follow=True)).replace("Cancelled. Pi", "", 1)


def test_erasing_before_the_time(owner, batch, pictures):
    work_through()
    assert any(path.is_file() for path in pictures.rglob("*"))
    answer = owner.post(page(batch, "/erase"), follow=True)
    assert "have been erased" in text_of(answer)
    assert owner.get(page(batch, "/zip")).status_code == 410
    assert "Download zip" not in text_of(owner.get("/batches"))


def test_a_batch_whose_time_is_over(owner, batch):
    work_through()
    Batch.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    alone = text_of(owner.get(page(batch)))
    assert "have been erased" in alone
    assert "Download" not in alone


def test_the_history_of_a_callback_and_sending_it_again(owner, user, receiver):
    host = receiver(lambda path: [BROKEN])
    batch = ended_batch(user, url_of(host), done=1)
    delivery.try_due(1)
    alone = text_of(owner.get(page(batch)))
    assert "Not delivered yet" in alone
    assert re.search(r"\d\d:\d\d:\d\d 500 \d+ ms", alone)
    host.reply = lambda path: [OK]
    assert "is sent again" in text_of(owner.post(page(batch, "/callback"), follow=True))
    delivery.try_due(1)
    alone = text_of(owner.get(page(batch)))
    assert "Delivered" in alone
    assert CallbackTry.objects.count() == 2


def test_a_callback_that_never_got_an_answer(owner, user, settings):
    settings.OUTBOUND_ALLOWED_NETWORKS = networks("127.0.0.9/32")
    batch = ended_batch(user, "http://127.0.0.1:80/")
    delivery.try_due(1)
    assert "None The address leads to where no callback may go." in text_of(owner.get(page(batch)))
    Callback.objects.update(state="failed", ended_at=timezone.now())
    assert "Given up" in text_of(owner.get(page(batch)))


def test_without_a_callback_nothing_is_sent_again(owner, user):
    assert owner.post(page(ended_batch(user, ""), "/callback")).status_code == 404


# --- Who ------------------------------------------------------------------------------------------

READ = ["", "/zip", "/items/0"]
ACT = ["/cancel", "/erase", "/callback"]


@pytest.mark.parametrize("rest", READ + ACT)
def test_strangers_are_sent_to_log_in_and_others_find_nothing(batch, outsider, rest):
    method = "post" if rest in ACT else "get"
    answer = getattr(Client(), method)(page(batch, rest))
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/accounts/login/")
    assert getattr(outsider, method)(page(batch, rest)).status_code == 404
    batch.refresh_from_db()
    assert (batch.state, batch.erased_at) == ("processing", None)


def test_the_list_is_ones_own(batch, outsider):
    assert Client().get("/batches").status_code == 302
    assert str(batch.pk) not in outsider.get("/batches").content.decode()


@pytest.mark.parametrize("rest", READ + ACT)
def test_wrong_methods(owner, batch, rest):
    method = "get" if rest in ACT else "post"
    assert getattr(owner, method)(page(batch, rest)).status_code == 405


@pytest.mark.parametrize("rest", ACT)
def test_a_form_of_another_site_does_nothing(user, batch, rest):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.post(page(batch, rest)).status_code == 403
    batch.refresh_from_db()
    assert (batch.state, batch.erased_at) == ("processing", None)
