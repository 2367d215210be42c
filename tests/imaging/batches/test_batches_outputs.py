"""`outputs` of `POST /api/batches`: several results of each image, for one inference and one credit."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from billing.credits import ledger
from billing.credits.reconciliation import reconcile
from billing.models import Hold, UsageWindow
from imaging.batches import expiry, files, leases, work
from imaging.core.options import CutoutOptions
from imaging.models import Batch, BatchItem, stored_options
from tests.conftest import encoded
from tests.imaging.batches.forms import batch_form, caller, content_of, post, the_batch, work_through
from tests.imaging.core.pictures import file_bytes
from tests.imaging.removal.forms import part

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_model")]

THREE: list[dict[str, Any]] = [
    {"name": "cutout", "format": "png"},
    {"name": "white", "format": "jpg", "bg_color": "#fff", "w": 4},
    {"mask": True, "format": "png"},
]


@pytest.fixture(autouse=True)
def kept(pictures):
    """Where the images are stored."""
    return pictures


def send(key, *pictures, outputs=THREE, **fields):
    return post(key, *pictures, outputs=json.dumps(outputs), **fields)


def files_left(folder) -> list[str]:
    return sorted(f"{path.parent.name}/{path.name}" for path in folder.rglob("*") if path.is_file())


def read(key) -> dict:
    return caller(key).get(f"/api/batches/{the_batch().pk}").json()


def test_three_results_of_one_inference_and_one_credit(key, user, small_png, quick_model, monkeypatch):
    predict, calls = quick_model.predict, list[Any]()

    def counted(image):
        calls.append(image)
        return predict(image)

    monkeypatch.setattr(quick_model, "predict", counted)
    answer = send(key, ("shoes/red.png", small_png), bg_color="blue")
    assert answer.status_code == 202, answer.content
    (item,) = answer.json()["items"]
    assert (item["results"], item["result_url"]) == ([], None)
    assert work_through() == 1
    data = read(key)
    assert (len(calls), data["credits"], UsageWindow.objects.get().used) == (1, {"held": 0, "charged": 1}, 100)
    (item,) = data["items"]
    shown = [(one["name"], one["media_type"], one["width"], one["height"]) for one in item["results"]]
    assert shown == [("cutout", "image/png", 8, 6), ("white", "image/jpeg", 4, 3), (None, "image/png", 8, 6)]
    assert [one["foreground"] for one in item["results"]] == [[0, 0, 8, 6], [0, 0, 4, 3], [0, 0, 8, 6]]
    assert (item["width"], item["bytes"]) == (8, item["results"][0]["bytes"])
    assert reconcile(ledger.get_account(user)) == []

    images = []
    for one, name in zip(item["results"], ("red-cutout.png", "red-white.jpeg", "red.png"), strict=True):
        result = caller(key).get(one["url"])
        content = content_of(result)
        assert result.headers["Content-Disposition"] == f'inline; filename="{name}"'
        assert (result.headers["Content-Type"], len(content)) == (one["media_type"], one["bytes"])
        assert (result.headers["X-Width"], result.headers["X-Foreground-Width"]) == (str(one["width"]),) * 2
        images.append(Image.open(io.BytesIO(content)))
    assert [image.mode for image in images] == ["RGB", "RGB", "L"]
    assert [image.getpixel((0, 0)) for image in (images[0], images[2])] == [(0, 0, 255), 0]
    assert images[1].getpixel((0, 0)) > (150, 150, 150)
    assert content_of(caller(key).get(item["result_url"])) == content_of(caller(key).get(item["results"][0]["url"]))


def test_the_zip_holds_every_result_under_a_name_of_its_own(key, small_png):
    outputs = [{"format": "png"}, {"format": "png", "w": 3}, {"name": "w", "format": "png"}]
    send(key, ("a.png", small_png), ("a-w.png", small_png), ("bad.png", b"bad"), outputs=outputs)
    work_through()
    answer = caller(key).get(read(key)["zip_url"])
    content = content_of(answer)
    assert int(answer.headers["Content-Length"]) == len(content)
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.namelist() == ["a.png", "a (2).png", "a-w.png", "a-w (2).png", "a-w (3).png", "a-w-w.png"]
    assert Image.open(io.BytesIO(archive.read("a (2).png"))).width == 3


def test_without_outputs_nothing_is_different(key, small_png):
    answer = post(key, ("a.png", small_png), outputs=" ", format="png")
    assert answer.json()["options"] == {"format": "png"}
    assert "results" not in answer.json()["items"][0]
    assert the_batch().parsed_options == {"version": 1, "options": {"format": "png"}}
    work_through()
    (item,) = read(key)["items"]
    assert "results" not in item
    assert BatchItem.objects.get().results is None
    alone = content_of(caller(key).get(item["result_url"]))
    assert content_of(caller(key).get(f"{item['result_url']}/results/0")) == alone
    missing = caller(key).get(f"{item['result_url']}/results/1")
    assert (missing.status_code, missing.json()["code"]) == (404, "no_such_output")


def test_results_are_the_owners(key, small_png, outsider):
    send(key, ("a.png", small_png))
    work_through()
    path = read(key)["items"][0]["results"][1]["url"].removeprefix("http://testserver")
    assert content_of(caller(key).get(path))
    assert Client(raise_request_exception=False).get(path).status_code == 401
    assert outsider.get(path).status_code in (401, 404)
    assert outsider.get(path.removeprefix("/api")).status_code == 404
    assert caller(key).get(path.replace("results/1", "results/3")).json()["code"] == "no_such_output"


def test_all_problems_are_found_at_once_and_nothing_is_kept(key, small_png, kept):
    answer = send(key, ("a.png", small_png), outputs=[{"w": "abc"}, {"fit": "pad", "speed": 9}], angle="500")
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert answer.json()["details"] == [
        {"field": "angle", "message": "'angle' must be between -360 and 360 degrees, got: 500.0"},
        {"field": "outputs[0].w", "message": "outputs[0]: 'w' must be an integer, got: 'abc'"},
        {"field": "outputs[1].speed", "message": "outputs[1]: 'speed' is not an option of an output."},
        {"field": "outputs[1].fit", "message": "outputs[1]: 'fit=pad' needs both 'w' and 'h'."},
    ]
    answer = post(key, ("a.png", small_png), outputs="png and jpg")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_outputs")
    assert answer.json()["error"] == "'outputs' must be a JSON list of 1 to 5 objects."
    assert send(key, ("a.png", small_png), outputs=[{}], model="nothing").json()["code"] == "unknown_model"
    assert not Hold.objects.exists()
    assert files_left(kept) == []


def test_a_size_that_does_not_suit_one_output_fails_the_image(key):
    """All results or none: a credit is for all of them."""
    thin = encoded(Image.new("RGB", (10, 1000)))
    send(key, ("thin.png", thin), outputs=[{"h": 10}, {"w": 9000}])
    work_through()
    (item,) = read(key)["items"]
    assert (item["status"], item["code"], item["results"]) == ("failed", "out_of_range", [])
    assert item["error"].startswith("outputs[1]: 'w' of 9000 would make")
    assert Hold.objects.get().state == "voided"


def test_a_background_for_those_outputs_that_do_not_say_otherwise(key, small_png):
    red = file_bytes(Image.new("RGB", (5, 5), (250, 10, 20)))
    form = batch_form(("a.png", small_png), outputs=json.dumps([{}, {"bg_image": None}, {"bg_color": "lime"}]), format="png")
    form["data"] = part('name="bg_image"; filename="b.png"', red) + form["data"]
    assert caller(key).post("/api/batches", **form).status_code == 202
    work_through()
    results = read(key)["items"][0]["results"]
    images = [Image.open(io.BytesIO(content_of(caller(key).get(one["url"])))) for one in results]
    assert [image.getpixel((0, 0)) for image in images] == [(250, 10, 20), (0, 0, 0, 0), (0, 255, 0)]


def test_a_retry_has_the_same_outputs(key, small_png):
    first = send(key, ("a.png", small_png), retry="order-1")
    again = post(key, ("a.png", small_png), retry="order-1", outputs=json.dumps(THREE, indent=2))
    assert again.json()["id"] == first.json()["id"], "the same, only written differently"
    for outputs in (THREE[:2], [{**THREE[0], "name": "other"}, *THREE[1:]], [*THREE[:2], {"mask": True}]):
        answer = send(key, ("a.png", small_png), retry="order-1", outputs=outputs)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert post(key, ("a.png", small_png), retry="order-1").status_code == 409
    assert Batch.objects.count() == 1


def test_the_release_before_finds_an_option_that_it_does_not_know(key, small_png):
    send(key, ("a.png", small_png))
    stored = the_batch().parsed_options
    assert stored["version"] == 1
    assert set(stored["options"]) - set(CutoutOptions.__dataclass_fields__) == {"outputs"}
    Batch.objects.update(parsed_options=stored_options(CutoutOptions(format="bmp")))
    assert [output.options.format for output in the_batch().outputs] == ["bmp"], "as that release stores them"


def test_outputs_of_a_newer_release_are_left_to_its_workers(key, small_png):
    send(key, ("a.png", small_png))
    parsed = the_batch().parsed_options
    parsed["options"]["outputs"][1]["options"]["brightness"] = 7
    Batch.objects.update(parsed_options=parsed)
    work_through()
    assert (BatchItem.objects.get().state, BatchItem.objects.get().attempts) == ("queued", 0)


def killed_after(number: int, monkeypatch) -> None:
    """Work on an image and die after so many of its results are stored."""
    store, stored = files.store_result, list[Any]()

    def store_some(*arguments):
        if len(stored) == number:
            raise KeyboardInterrupt
        stored.append(arguments)
        store(*arguments)

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(files, "store_result", store_some)
        work_through()
    BatchItem.objects.filter(state="running").update(leased_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("number", [1, 2])
def test_a_worker_killed_between_two_results_leaves_neither_files_nor_a_charge(
    number, key, user, small_png, kept, monkeypatch
):
    send(key, ("a.png", small_png))
    killed_after(number, monkeypatch)
    assert len([name for name in files_left(kept) if name.startswith("out/0-1")]) == number
    assert Hold.objects.get().state == "held"
    work_through()
    assert files_left(kept) == ["out/0-2", "out/0-2-1", "out/0-2-2"]
    assert (Hold.objects.get().state, UsageWindow.objects.get().used) == ("posted", 100)
    assert len(read(key)["items"][0]["results"]) == 3
    assert reconcile(ledger.get_account(user)) == []


def test_an_image_that_kills_every_worker_leaves_nothing(key, small_png, kept, monkeypatch):
    send(key, ("a.png", small_png))
    for _ in range(3):
        killed_after(2, monkeypatch)
    work_through()
    assert read(key)["items"][0]["code"] == "internal_error"
    assert (files_left(kept), Hold.objects.get().state) == ([], "voided")


def test_cancelling_after_a_worker_was_killed_leaves_the_results_alone(
    key, small_png, kept, monkeypatch, django_capture_on_commit_callbacks
):
    send(key, ("a.png", small_png), ("b.png", small_png))
    item = leases.take_next()
    assert item is not None
    work.work(item)
    killed_after(2, monkeypatch)
    with django_capture_on_commit_callbacks(execute=True):
        caller(key).post(f"/api/batches/{item.batch_id}/cancel")
    assert files_left(kept) == ["out/0-1", "out/0-1-1", "out/0-1-2"]
    assert sorted(Hold.objects.values_list("state", flat=True)) == ["posted", "voided"]


def test_cancelled_or_deleted_while_the_results_are_stored(key, small_png, kept, django_capture_on_commit_callbacks):
    send(key, ("a.png", small_png))
    item = leases.take_next()
    assert item is not None
    cutout = work._cut_out(item)
    with django_capture_on_commit_callbacks(execute=True):
        caller(key).delete(f"/api/batches/{item.batch_id}")
    work._deliver(item, cutout)
    assert (files_left(kept), Hold.objects.get().state) == ([], "voided")


def test_all_results_are_erased_in_the_end(key, small_png, kept):
    send(key, ("a.png", small_png))
    work_through()
    assert len(files_left(kept)) == 3
    Batch.objects.update(expires_at=timezone.now())
    expiry.expire()
    assert files_left(kept) == []
    (item,) = read(key)["items"]
    assert [one["url"] for one in item["results"]] == [None] * 3
    path = f"/api/batches/{the_batch().pk}/items/0/results/1"
    assert caller(key).get(path).status_code == 410


def test_the_page_offers_each_result(key, user, small_png):
    send(key, ("a.png", small_png), ("b.png", b"bad"))
    work_through()
    client = Client()
    client.force_login(user)
    page = client.get(f"/batches/{the_batch().pk}").content.decode()
    for number, label in enumerate(("cutout", "white", "png")):
        assert f'/items/0/results/{number}" download>' in page
        assert f"<bdi>{label}</bdi></a>" in page
    assert "/items/1/results" not in page
    assert "4 × 3" in page
    one = client.get(f"/batches/{the_batch().pk}/items/0/results/1")
    assert (one.headers["Content-Type"], len(content_of(one)) > 0) == ("image/jpeg", True)
