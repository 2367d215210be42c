"""`POST /api/batches` and its outcome: counts, results, one bad file among good ones, credits."""

import io
import zipfile
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from accounts.models import ApiKey
from billing.credits import ledger
from billing.credits.reconciliation import reconcile
from billing.credits.windows import get_window
from billing.models import Hold, UsageWindow
from imaging.models import Batch, BatchItem
from tests.conftest import encoded
from tests.imaging.batches.forms import batch_form, caller, content_of, post, the_batch, work_through, zipped
from tests.sessions import token_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pictures", "quick_model")]

NONE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def outsider_key(django_user_model) -> str:
    other = django_user_model.objects.create_user("other@example.com")
    other.verify_email()
    ledger.get_account(other)
    return ApiKey.objects.issue(other, name="x")[1].text


def states() -> list[str]:
    return sorted(Hold.objects.values_list("state", flat=True))


def window() -> tuple[int, int]:
    found = UsageWindow.objects.get()
    return found.held, found.app_used + found.api_used


def test_a_batch_is_accepted_and_described(key, small_png, django_capture_on_commit_callbacks):
    answer = post(key, ("a.png", small_png), ("b.png", small_png), format="png", w="4")
    data = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == data["url"] == f"http://testserver/api/batches/{data['id']}"
    assert answer.headers["RateLimit"]
    assert (data["status"], data["finished_at"], data["zip_url"], data["callback"]) == ("processing", None, None, None)
    assert data["counts"] == {"total": 2, "queued": 2, "running": 0, "done": 0, "failed": 0, "cancelled": 0}
    assert data["credits"] == {"held": 2, "charged": 0}
    assert data["options"] == {"format": "png", "w": "4"}
    assert [(item["index"], item["name"], item["status"]) for item in data["items"]] == [
        (0, "a.png", "queued"), (1, "b.png", "queued"),
    ]  # fmt: skip
    assert window() == (2, 0)
    assert caller(key).get(data["url"]).json() == data


def test_results_are_made_charged_and_delivered(key, small_png):
    url = post(key, ("a.png", small_png), ("b.png", small_png), format="png", w="4").json()["url"]
    assert work_through() == 2
    data = caller(key).get(url).json()
    assert (data["status"], data["counts"]["done"], data["credits"]) == ("finished", 2, {"held": 0, "charged": 2})
    assert data["finished_at"] is not None
    item = data["items"][1]
    assert (item["width"], item["height"], item["model"], item["code"]) == (4, 3, "ellipse", None)
    answer = caller(key).get(item["result_url"])
    content = content_of(answer)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.headers["Content-Disposition"] == 'inline; filename="b.png"'
    assert (answer.headers["X-Width"], answer.headers["X-Height"], answer.headers["X-Model"]) == ("4", "3", "ellipse")
    assert len(content) == item["bytes"] == int(answer.headers["Content-Length"])
    assert Image.open(io.BytesIO(content)).size == (4, 3)
    assert states() == ["posted", "posted"]
    assert window() == (0, 2)


def test_bad_files_are_reported_and_free_and_do_not_stop_the_others(key, user, small_png):
    files = [
        ("a.png", small_png),
        ("empty.png", b""),
        ("text.png", b"no picture"),
        ("x.exe", small_png),
        ("b.png", small_png),
    ]
    data = post(key, *files).json()
    assert data["counts"]["failed"] == 1, "an empty file needs no work to be known"
    assert window() == (4, 0)
    work_through()
    data = caller(key).get(data["url"]).json()
    assert [item["code"] for item in data["items"]] == [
        None, "empty_file", "invalid_image", "unsupported_file_type", None,
    ]  # fmt: skip
    assert data["items"][1]["error"] == "Uploaded file is empty (0 bytes)."
    assert data["items"][3]["error"] == "File type '.exe' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg"
    assert (data["status"], data["credits"]) == ("finished", {"held": 0, "charged": 2})
    assert window() == (0, 2)
    assert reconcile(ledger.get_account(user)) == []


def test_a_batch_of_nothing_good_is_finished_at_once_and_free(key):
    data = post(key, ("a.png", b""), ("b.png", b"")).json()
    assert (data["status"], data["counts"]["failed"]) == ("finished", 2)
    assert not Hold.objects.exists()


def test_options_count_for_every_image_and_bad_ones_for_the_whole(key, small_png, pictures):
    answer = post(key, ("a.png", small_png), w="abc", angle="500")
    assert answer.status_code == 400
    assert answer.json()["details"] == [
        {"field": "w", "message": "'w' must be an integer, got: 'abc'"},
        {"field": "angle", "message": "'angle' must be between -360 and 360 degrees, got: 500.0"},
    ]
    assert not Hold.objects.exists()
    assert not list(pictures.rglob("*"))


def test_a_size_that_does_not_suit_one_image_fails_that_image(key, small_png):
    data = post(key, ("a.png", small_png), ("tall.png", encoded(Image.new("RGB", (1, 8)))), w="1500").json()
    work_through()
    assert [item["code"] for item in caller(key).get(data["url"]).json()["items"]] == [None, "out_of_range"]


@pytest.mark.parametrize(
    ("parts", "code", "text"),
    [
        ({}, "missing_image", "No images provided. Include at least one 'image' or 'zip' file, or an 'image_url'."),
        ({"zips": (b"nonsense",)}, "invalid_zip", "'pictures.zip' is not a zip file, or it is damaged."),
        ({"urls": ("http://example.com/a.png",), "callback_url": "ftp://example.com"}, "callback_url_invalid", None),
    ],
)
def test_what_is_wrong_with_a_batch(key, parts, code, text):
    answer = post(key, **parts)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert text is None or answer.json()["error"] == text


def test_a_form_with_no_file_chosen(key):
    assert post(key, ("", b"")).json()["code"] == "no_file_selected"


def test_all_problems_in_the_form_are_reported_at_once(key):
    answer = post(key, zips=(b"nonsense",), w="abc", callback_url="nonsense")
    assert [problem["field"] for problem in answer.json()["details"]] == ["zip", "w", "callback_url"]


def test_other_bodies_than_forms(key):
    answer = caller(key).post("/api/batches", b"{}", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    answer = caller(key).post("/api/batches", b"cut", content_type="multipart/form-data; boundary=x")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_form")


def test_credits_are_held_for_all_or_none(key, user, small_png, pictures):
    get_window(ledger.get_account(user), timezone.now())
    UsageWindow.objects.update(allowance=2)
    answer = post(key, *[(f"{n}.png", small_png) for n in range(3)])
    assert (answer.status_code, answer.json()["code"]) == (429, "not_enough_credits")
    assert answer.headers["Retry-After"]
    assert "needs 3 credits, and 2 are left" in answer.json()["error"]
    assert window() == (0, 0)
    assert not list(pictures.rglob("*"))


def test_only_so_many_batches_at_once(key, small_png, settings, pictures):
    settings.BATCHES_AT_ONCE = 1
    first = post(key, ("a.png", small_png)).json()
    answer = post(key, ("a.png", small_png))
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_batches")
    assert int(answer.headers["Retry-After"]) > 0
    assert window() == (1, 0)
    assert [folder.name for folder in (pictures / "batches").iterdir()] == [first["id"]]
    work_through()
    assert post(key, ("a.png", small_png)).status_code == 202


def test_only_so_many_batches_in_a_day_whatever_becomes_of_them(key, outsider_key, small_png, settings, pictures):
    """Free items leave rows as well: 15 batches of 500 bad addresses were 4.9 MB."""
    settings.BATCHES_PER_DAY = 3
    deleted = post(key, ("a.png", small_png)).json()
    assert caller(key).delete(deleted["url"]).status_code == 204
    for _ in range(2):
        assert post(key, urls=("nonsense",)).json()["status"] == "finished"
    Batch.objects.filter(pk=deleted["id"]).update(created_at=timezone.now() - timedelta(hours=23))
    items = BatchItem.objects.count()
    answer = post(key, urls=("nonsense",) * 50)
    assert (answer.status_code, answer.json()["code"]) == (429, "daily_batch_limit_reached")
    assert "At most 3 batches may be made in 24 hours" in answer.json()["error"]
    assert 3590 < int(answer.headers["Retry-After"]) <= 3601
    assert post(key, urls=("nonsense",), retry="order-1").json()["code"] == "daily_batch_limit_reached"
    assert (Batch.objects.count(), BatchItem.objects.count()) == (3, items)
    assert post(outsider_key, urls=("nonsense",)).status_code == 202, "others have their own"
    Batch.objects.filter(pk=deleted["id"]).update(created_at=timezone.now() - timedelta(hours=25))
    assert post(key, urls=("nonsense",), retry="order-1").status_code == 202
    assert post(key, urls=("nonsense",)).json()["code"] == "daily_batch_limit_reached"
    assert post(key, urls=("nonsense",), retry="order-1").status_code == 202, "a retry makes none"


def test_a_batch_beyond_the_limits_is_not_read(key, settings, pictures, monkeypatch):
    settings.BATCHES_PER_DAY = 1
    post(key, urls=("nonsense",))
    monkeypatch.setattr("imaging.batches.upload.read_body", lambda *_, **__: pytest.fail("it was read"))
    assert post(key, urls=("nonsense",)).json()["code"] == "daily_batch_limit_reached"


def test_too_many_requests(key, user, small_png):
    plan = ledger.get_account(user).plan
    plan.requests_per_minute = 1
    plan.save()
    assert post(key, ("a.png", small_png)).status_code == 202
    assert post(key, ("a.png", small_png)).json()["code"] == "rate_limited"


@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/items/0", "/{id}/zip"])
def test_only_the_owner_sees_it(key, outsider_key, small_png, path):
    batch = post(key, ("a.png", small_png)).json()["id"]
    work_through()
    address = "/api/batches" + path.format(id=batch)
    answer = caller(key).get(address)
    content_of(answer)
    assert answer.status_code == 200
    anonymous = Client().get(address)
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "invalid_api_key")
    assert anonymous.headers["WWW-Authenticate"]
    outsider = caller(outsider_key).get(address)
    if path:
        assert (outsider.status_code, outsider.json()["code"]) == (404, "not_found")
    else:
        assert outsider.json() == {"batches": [], "next": None}


def test_only_the_owner_ends_it(key, outsider_key, small_png):
    url = post(key, ("a.png", small_png)).json()["url"]
    for client, status in ((Client(), 401), (caller(outsider_key), 404)):
        assert client.post(f"{url}/cancel").status_code == status
        assert client.delete(url).status_code == status
    assert the_batch().state == "processing"


def test_anonymous_callers_make_none(small_png):
    answer = post(None, ("a.png", small_png))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")


def test_a_signed_in_user_sees_the_batches_of_the_keys_and_makes_own(key, user, small_png):
    made = post(key, ("a.png", small_png)).json()
    browser = Client(headers={"Authorization": f"Bearer {token_of(user)}"})
    assert browser.get(made["url"]).json()["id"] == made["id"]
    assert browser.post("/api/batches", **batch_form(("b.png", small_png))).status_code == 202
    assert sorted(Hold.objects.values_list("channel", flat=True)) == ["api", "app"]
    assert len(caller(key).get("/api/batches").json()["batches"]) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("put", ""), ("delete", ""), ("post", "/{id}"), ("get", "/{id}/cancel"), ("post", "/{id}/zip"),
        ("delete", "/{id}/items/0"),
    ],
)  # fmt: skip
def test_methods_that_are_not_allowed(key, small_png, method, path):
    batch = post(key, ("a.png", small_png)).json()["id"]
    answer = getattr(caller(key), method)("/api/batches" + path.format(id=batch))
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["nonsense", NONE, f"{NONE}/zip", f"{NONE}/items/0"])
def test_a_batch_that_is_none(key, path):
    answer = caller(key).get(f"/api/batches/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_result_is_not_found_until_it_is_there(key, small_png):
    url = post(key, ("a.png", small_png), ("b.png", b"bad")).json()["url"]
    answers = [caller(key).get(f"{url}/{path}") for path in ("items/0", "items/2", "zip")]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [
        (404, "no_result"), (404, "no_such_image"), (404, "no_result"),
    ]  # fmt: skip
    work_through()
    assert content_of(caller(key).get(f"{url}/items/0"))
    assert caller(key).get(f"{url}/items/1").json()["error"] == "This image has no result: it is failed."


def test_all_results_as_one_zip(key, small_png):
    names = [
        "a.png",
        "holiday/a.png",
        "A.PNG",
        "../../etc/passwd",
        "C:\\x\\a.png",
        "/abs.png",
        "noname",
        "bad.png",
        "été.jpg",
    ]
    entries = [(name, b"bad" if name == "bad.png" else small_png) for name in names]
    url = post(key, zips=(zipped(*entries),), format="png").json()["url"]
    work_through()
    answer = caller(key).get(f"{url}/zip")
    content = content_of(answer)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    assert int(answer.headers["Content-Length"]) == len(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "a.png", "holiday/a.png", "A (2).png", "etc/passwd.png", "C_/x/a.png", "abs.png", "noname.png",
            "été.png",
        ]  # fmt: skip
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        assert archive.read("a.png") == content_of(caller(key).get(f"{url}/items/0"))


def test_polling_without_the_images(key, small_png):
    url = post(key, ("a.png", small_png)).json()["url"]
    data = caller(key).get(f"{url}?items=0").json()
    assert "items" not in data
    assert data["counts"]["total"] == 1


def test_the_list_has_pages(key, small_png):
    made = [post(key, ("a.png", small_png)).json()["id"] for _ in range(3)]
    for age, batch in enumerate(made):
        Batch.objects.filter(pk=batch).update(created_at=timezone.now() - timedelta(minutes=age))
    first = caller(key).get("/api/batches?limit=2").json()
    assert [batch["id"] for batch in first["batches"]] == made[:2]
    assert "items" not in first["batches"][0]
    second = caller(key).get(first["next"]).json()
    assert ([batch["id"] for batch in second["batches"]], second["next"]) == (made[2:], None)


@pytest.mark.parametrize(
    ("query", "code"), [("limit=0", "out_of_range"), ("limit=x", "out_of_range"), ("before=x", "invalid_batch_id")]
)
def test_a_wrong_page(key, query, code):
    answer = caller(key).get(f"/api/batches?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
