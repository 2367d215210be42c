"""`POST /api/batches` with an `Idempotency-Key`: a retry finds the batch that the first one made."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ApiKey
from billing.credits import ledger
from billing.credits.windows import get_window
from billing.models import UsageWindow
from imaging.batches import creation
from imaging.models import Batch
from tests.imaging.batches.forms import post, work_through, zipped

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_model", "pictures")]
RETRY = "order-2231"


def test_a_retry_gets_the_same_batch_and_pays_once(key, small_png, pictures):
    first = post(key, ("a.png", small_png), retry=RETRY, format="PNG")
    second = post(key, ("a.png", small_png), retry=RETRY, format="png", w="0")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Location"] == first.headers["Location"]
    assert UsageWindow.objects.get().held == 1
    assert [path.name for path in (pictures / "batches").iterdir()] == [first.json()["id"]]
    work_through()
    assert post(key, ("a.png", small_png), retry=RETRY, format="png").json()["status"] == "finished"


def test_a_retry_works_after_the_last_credit_and_the_last_place(key, user, small_png, settings):
    get_window(ledger.get_account(user), timezone.now())
    UsageWindow.objects.update(allowance=1)
    settings.BATCHES_AT_ONCE = 1
    assert post(key, ("a.png", small_png), retry=RETRY).status_code == 202
    assert post(key, ("a.png", small_png), retry=RETRY).status_code == 202
    assert post(key, ("a.png", small_png), retry="another").status_code == 429


@pytest.mark.parametrize(
    ("files", "fields"),
    [
        ([("a.png", b"other")], {}),
        ([("b.png", b"first")], {}),
        ([("a.png", b"first"), ("a.png", b"first")], {}),
        ([("a.png", b"first")], {"w": "5"}),
        ([("a.png", b"first")], {"callback_url": "https://example.com/"}),
        ([], {"urls": ("https://example.com/a.png",)}),
        ([], {"zips": (zipped(("a.png", b"other")),)}),
    ],
)
def test_another_request_under_the_same_key(key, files, fields):
    post(key, ("a.png", b"first"), retry=RETRY)
    answer = post(key, *files, retry=RETRY, **fields)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert UsageWindow.objects.get().held == 1


def test_the_same_images_in_a_zip_are_the_same_request(key, small_png):
    first = post(key, ("a.png", small_png), retry=RETRY).json()
    assert post(key, zips=(zipped(("a.png", small_png)),), retry=RETRY).json()["id"] == first["id"]


def test_one_that_is_quicker_at_the_same_moment(key, small_png, monkeypatch, pictures):
    """The second request looks, finds nothing, and inserts its rows just after the first one has inserted its own."""
    first = post(key, ("a.png", small_png), retry=RETRY).json()
    monkeypatch.setattr(creation, "_find_earlier", lambda account, retry: None)
    assert post(key, ("a.png", small_png), retry=RETRY).json()["id"] == first["id"]
    assert post(key, ("b.png", small_png), retry=RETRY).json()["code"] == "idempotency_key_reused"
    assert UsageWindow.objects.get().held == 1
    assert [path.name for path in (pictures / "batches").iterdir()] == [first["id"]], "its files are gone"


def test_a_key_means_nothing_after_a_day(key, small_png):
    first = post(key, ("a.png", small_png), retry=RETRY).json()
    Batch.objects.update(created_at=timezone.now() - timedelta(hours=25))
    second = post(key, ("b.png", small_png), retry=RETRY)
    assert second.status_code == 202
    assert second.json()["id"] != first["id"]
    assert Batch.objects.count() == 2


def test_a_refused_batch_leaves_its_key_free(key, user, small_png):
    get_window(ledger.get_account(user), timezone.now())
    UsageWindow.objects.update(allowance=0)
    assert post(key, ("a.png", small_png), retry=RETRY).status_code == 429
    UsageWindow.objects.update(allowance=5)
    assert post(key, ("b.png", small_png), retry=RETRY).status_code == 202


def test_two_customers_may_use_the_same_key(key, small_png, django_user_model):
    other = django_user_model.objects.create_user("other@example.com")
    other.verify_email()
    other_key = ApiKey.objects.issue(other, name="x")[1].text
    made = [post(one, ("a.png", small_png), retry=RETRY).json()["id"] for one in (key, other_key)]
    assert made[0] != made[1]


@pytest.mark.parametrize("retry", ["x" * 256, "with space"])
def test_a_key_that_is_none(key, small_png, retry):
    answer = post(key, ("a.png", small_png), retry=retry)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
