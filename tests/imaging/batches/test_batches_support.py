"""Batches at the support desk: found by id, viewed, read-only."""

import pytest

from accounts.models import User
from billing.models import Hold
from tests.billing.support.staff import browser_of, make_staff
from tests.imaging.batches.forms import post, the_batch, work_through

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_model", "pictures")]

SEARCH = "/admin/billing/account/search/"


@pytest.fixture
def batch(key, small_png) -> str:
    made = post(key, ("good.png", small_png), ("bad.png", b"bad")).json()["id"]
    work_through()
    return made


@pytest.mark.parametrize("group", ["Support", "Readers"])
def test_staff_see_batches_and_their_images(batch, user, group):
    browser = browser_of(make_staff(group))
    listed = browser.get("/admin/imaging/batch/").content.decode()
    assert batch in listed
    assert user.email in listed
    page = browser.get(f"/admin/imaging/batch/{batch}/change/")
    assert page.status_code == 200
    for text in ("good.png", "bad.png", "invalid_image"):
        assert text in page.content.decode()


def test_the_search_finds_a_batch_by_its_id_and_its_credits_by_theirs(batch):
    browser = browser_of(make_staff("Support"))
    for term in (batch, the_batch().request_id):
        assert browser.post(SEARCH, {"term": term}).headers["Location"] == f"/admin/imaging/batch/{batch}/change/"
    hold = Hold.objects.get(state="posted")
    assert hold.request_id == f"{the_batch().request_id}/0"
    listed = browser.get("/admin/billing/ledgerentry/", {"q": hold.request_id})
    assert [entry.kind for entry in listed.context["cl"].result_list] == ["post", "hold"]


@pytest.mark.parametrize("term", ["id", "request_id"])
def test_the_list_is_searched(batch, key, small_png, term):
    batch = the_batch()
    post(key, ("other.png", small_png))
    listed = browser_of(make_staff("Support")).get("/admin/imaging/batch/", {"q": str(getattr(batch, term))})
    assert listed.content.decode().count(f"/admin/imaging/batch/{batch}/change/") >= 1
    assert listed.context["cl"].result_count == 1


@pytest.mark.parametrize("act", ["change", "delete"])
def test_no_one_changes_one(batch, act):
    root = browser_of(User.objects.create_superuser("root@example.com", "x"))
    assert root.post(f"/admin/imaging/batch/{batch}/{act}/", {"state": "cancelled", "post": "yes"}).status_code == 403
    assert the_batch().state == "finished"


def test_customers_see_nothing_of_it(batch, user):
    assert browser_of(user).get(f"/admin/imaging/batch/{batch}/change/").status_code in (302, 403, 404)
