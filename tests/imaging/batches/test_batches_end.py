"""How batches end early, and what remains: cancelling, deleting, expiry, account deletion."""

import os
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.management import call_command
from django.utils import timezone

from accounts.deletion import delete_account
from billing.credits import ledger
from billing.credits.reconciliation import reconcile
from billing.models import Hold, LedgerEntry, UsageWindow
from imaging import callbacks
from imaging.batches import expiry, leases, upkeep, work
from imaging.models import Batch, BatchItem
from tests.imaging.batches.forms import caller, content_of, post, the_batch, work_through

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_model")]

BEHIND = "https://example.com/b.png?token=secret"


@pytest.fixture(autouse=True)
def kept(pictures):
    """Where the images are stored."""
    return pictures


@pytest.fixture(autouse=True)
def ended(monkeypatch) -> list[str]:
    """The states of batches reported as ended."""
    reported: list[str] = []
    monkeypatch.setattr(callbacks, "announce", lambda batch: reported.append(batch.state))
    return reported


@pytest.fixture
def half_done(key, small_png) -> dict[str, Any]:
    """A batch of three, the first of which is done."""
    data = post(key, *((f"{n}.png", small_png) for n in range(3))).json()
    item = leases.take_next()
    assert item is not None
    work.work(item)
    return data


def files_left(folder: Path) -> list[str]:
    return sorted(f"{path.parent.name}/{path.name}" for path in folder.rglob("*") if path.is_file())


def states() -> list[str]:
    return sorted(Hold.objects.values_list("state", flat=True))


def its_time_is_over(batch: dict[str, Any]) -> None:
    Batch.objects.filter(pk=batch["id"]).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_cancelling_frees_what_is_not_done_and_keeps_what_is(
    key, user, half_done, kept, ended, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        data = caller(key).post(f"{half_done['url']}/cancel").json()
    assert (data["status"], data["credits"]) == ("cancelled", {"held": 0, "charged": 1})
    assert data["counts"] == {"total": 3, "queued": 0, "running": 0, "done": 1, "failed": 0, "cancelled": 2}
    assert data["finished_at"] is not None
    assert ended == ["cancelled"]
    assert states() == ["posted", "voided", "voided"]
    assert (UsageWindow.objects.get().held, UsageWindow.objects.get().used) == (0, 100)
    assert files_left(kept) == ["out/0-1"], "what was sent is of no use any more"
    assert work_through() == 0
    assert content_of(caller(key).get(data["items"][0]["result_url"]))
    assert content_of(caller(key).get(data["zip_url"]))
    assert reconcile(ledger.get_account(user)) == []


def test_cancelling_twice_is_once_and_a_finished_batch_stays_finished(key, small_png, half_done, ended):
    for _ in range(2):
        assert caller(key).post(f"{half_done['url']}/cancel").status_code == 200
    assert ended == ["cancelled"]
    finished = post(key, ("a.png", small_png)).json()
    work_through()
    assert caller(key).post(f"{finished['url']}/cancel?items=0").json()["status"] == "finished"
    assert ended == ["cancelled", "finished"]
    assert states() == ["posted", "posted", "voided", "voided"]


def test_prepaid_credits_come_back_too(key, user, small_png):
    account = ledger.get_account(user)
    ledger.grant_prepaid(account, 5, reference="gift")
    ledger.hold(account, channel="api", key=None, request_id="one")
    UsageWindow.objects.update(allowance=2)
    url = post(key, *((f"{n}.png", small_png) for n in range(4))).json()["url"]
    account.refresh_from_db()
    assert account.prepaid_balance == 2
    caller(key).post(f"{url}/cancel")
    account.refresh_from_db()
    assert account.prepaid_balance == 5
    assert LedgerEntry.objects.filter(kind="void").count() == 4
    # The allowance was changed behind the ledger's back.
    UsageWindow.objects.update(allowance=account.plan.included_credits)
    assert reconcile(account) == []


def test_deleting_cancels_and_erases_at_once(key, half_done, kept, ended, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = caller(key).delete(half_done["url"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert files_left(kept) == []
    assert ended == ["cancelled"]
    assert states() == ["posted", "voided", "voided"]
    data = caller(key).get(half_done["url"]).json()
    assert data["erased_at"] is not None
    assert (data["zip_url"], data["items"][0]["result_url"]) == (None, None)
    for path in ("items/0", "zip"):
        gone = caller(key).get(f"{half_done['url']}/{path}")
        assert (gone.status_code, gone.json()["code"]) == (410, "batch_expired")
    assert caller(key).delete(half_done["url"]).status_code == 204


def test_a_day_later_everything_is_erased_and_what_is_open_is_free(key, user, half_done, kept, ended, settings):
    assert settings.BATCH_HOURS == 24
    assert the_batch().expires_at == the_batch().created_at + timedelta(hours=24)
    upkeep.tend()
    assert len(files_left(kept)) == 3, "not before its time"
    its_time_is_over(half_done)
    call_command("sweep")
    assert files_left(kept) == []
    assert not list(kept.glob("batches/*"))
    data = caller(key).get(half_done["url"]).json()
    assert (data["status"], data["counts"]["done"], data["counts"]["cancelled"]) == ("cancelled", 1, 2)
    assert data["erased_at"] is not None
    assert ended == ["cancelled"]
    assert states() == ["posted", "voided", "voided"]
    gone = caller(key).get(f"{half_done['url']}/items/0")
    assert (gone.status_code, gone.json()["code"]) == (410, "batch_expired")
    assert reconcile(ledger.get_account(user)) == []


def test_addresses_are_forgotten_with_the_images(key):
    data = post(key, urls=("https://example.com/a.png?token=secret",), bg_image_url=BEHIND, w="300").json()
    assert caller(key).get(data["url"]).json()["options"] == {"bg_image_url": BEHIND, "w": "300"}
    its_time_is_over(data)
    upkeep.tend()
    batch = caller(key).get(data["url"]).json()
    assert (batch["items"][0]["name"], batch["items"][0]["image_url"]) == ("a.png", None)
    assert batch["options"] == {"w": "300"}


def test_an_upgrade_forgets_the_backgrounds_of_batches_that_were_erased_before(key, small_png):
    erased, kept, plain = (
        post(key, ("a.png", small_png), **fields).json()["id"]
        for fields in ({"bg_image_url": BEHIND, "w": "300"}, {"bg_image_url": BEHIND}, {"w": "200"})
    )
    Batch.objects.filter(pk__in=(erased, plain)).update(erased_at=timezone.now())
    migration = import_module("imaging.migrations.0007_forget_background_urls")
    for _ in range(2):
        migration.forget(apps, None)
        options = {str(pk): options for pk, options in Batch.objects.values_list("pk", "options")}
        assert options == {erased: {"w": "300"}, kept: {"bg_image_url": BEHIND}, plain: {"w": "200"}}


def test_a_finished_batch_stays_finished_when_it_expires(key, small_png, ended):
    data = post(key, ("a.png", small_png)).json()
    work_through()
    its_time_is_over(data)
    upkeep.tend()
    assert the_batch().state == "finished"
    assert ended == ["finished"]


def test_the_sweeper_of_holds_leaves_a_batch_that_waits_alone(half_done):
    Hold.objects.update(created_at=timezone.now() - timedelta(hours=5))
    assert ledger.void_stale() == 0
    Hold.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    assert ledger.void_stale() == 2


def test_rows_are_forgotten_with_the_records_of_requests_and_the_ledger_stays(key, half_done, settings):
    its_time_is_over(half_done)
    upkeep.tend()
    age = timedelta(days=settings.REQUEST_LOG_DAYS)
    Batch.objects.update(created_at=timezone.now() - age + timedelta(hours=1))
    upkeep.tend()
    assert Batch.objects.count() == 1
    Batch.objects.update(created_at=timezone.now() - age - timedelta(hours=1))
    upkeep.tend()
    assert not Batch.objects.exists()
    assert not BatchItem.objects.exists()
    assert Hold.objects.count() == 3
    assert caller(key).get(half_done["url"]).status_code == 404


def test_files_that_no_batch_refers_to_are_erased_after_an_hour(key, half_done, kept):
    orphan, young = (kept / "batches" / str(uuid4()) / "in" for _ in range(2))
    for folder in (orphan, young):
        folder.mkdir(parents=True)
        (folder / "0").write_bytes(b"left by a kill")
    long_ago = (timezone.now() - timedelta(hours=2)).timestamp()
    os.utime(orphan / "0", (long_ago, long_ago))
    assert expiry.erase_orphans() == 1
    assert sorted(path.name for path in (kept / "batches").iterdir()) == sorted([half_done["id"], young.parent.name])
    assert len(files_left(kept)) == 4


def test_a_result_that_came_after_everything_was_erased_does_not_stay(half_done, kept):
    its_time_is_over(half_done)
    upkeep.tend()
    late = kept / "batches" / half_done["id"] / "out"
    late.mkdir(parents=True)
    (late / "1-1").write_bytes(b"late")
    long_ago = (timezone.now() - timedelta(hours=2)).timestamp()
    os.utime(late / "1-1", (long_ago, long_ago))
    assert expiry.erase_orphans() == 1
    assert files_left(kept) == []


def test_who_leaves_leaves_no_image_and_no_name(key, user, half_done, kept, django_capture_on_commit_callbacks):
    urls = {"callback_url": "https://example.com/hook", "bg_image_url": "https://example.com/behind.png?token=1"}
    post(key, urls=("https://example.com/secret.png?token=1",), **urls)
    with django_capture_on_commit_callbacks(execute=True):
        delete_account(user)
    assert files_left(kept) == []
    assert set(BatchItem.objects.values_list("name", "source_url")) == {("", "")}
    assert list(Batch.objects.values_list("callback_url", "state", "options")) == [("", "cancelled", {})] * 2
    assert states() == ["posted", "voided", "voided", "voided"]


def test_the_end_is_reported_once_when_the_last_item_ends(key, small_png, ended):
    post(key, ("a.png", small_png), ("b.png", b"bad"))
    assert ended == []
    work_through()
    assert ended == ["finished"]
