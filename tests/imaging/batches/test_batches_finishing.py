"""Batches of finished images: their fields, one background for all, and where each subject is."""

import io

import pytest
from PIL import Image

from imaging.batches import files
from imaging.models import BatchItem
from tests.imaging.batches.forms import batch_form, caller, content_of, the_batch, work_through
from tests.imaging.core.pictures import file_bytes
from tests.imaging.removal.forms import part

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pictures", "quick_model")]


def send(key, *pictures, background=None, **fields):
    form = batch_form(*pictures, **fields)
    if background is not None:
        form["data"] = part('name="bg_image"; filename="b.png"', background) + form["data"]
    return caller(key).post("/api/batches", **form)


def test_each_item_tells_where_its_subject_is(key, small_png):
    answer = send(key, ("a.png", small_png), format="png", crop="true", crop_margin="1px")
    assert answer.status_code == 202, answer.content
    assert answer.json()["items"][0]["foreground"] is None
    work_through()
    (item,) = caller(key).get(answer.json()["url"]).json()["items"]
    assert item["foreground"] == [0, 0, 8, 6]
    result = caller(key).get(item["result_url"])
    assert content_of(result)
    assert [result.headers[f"X-Foreground-{side}"] for side in ("Left", "Top", "Width", "Height")] == ["0", "0", "8", "6"]


def test_one_background_goes_behind_every_subject(key, small_png):
    red = file_bytes(Image.new("RGB", (5, 5), (250, 10, 20)))
    answer = send(key, ("a.png", small_png), ("b.png", small_png), background=red, format="png")
    assert answer.status_code == 202, answer.content
    work_through()
    for item in caller(key).get(answer.json()["url"]).json()["items"]:
        image = Image.open(io.BytesIO(content_of(caller(key).get(item["result_url"]))))
        assert (image.mode, image.getpixel((0, 0))) == ("RGB", (250, 10, 20))
    batch = the_batch()
    assert not files.storage().exists(f"batches/{batch.pk}/in/0")
    files.erase(batch.pk)
    assert not files.storage().exists(f"batches/{batch.pk}/in/background")


def test_a_bad_background_refuses_the_whole_batch(key, small_png):
    answer = send(key, ("a.png", small_png), background=b"nothing", shadow="long")
    assert answer.status_code == 400
    assert {detail["field"] for detail in answer.json()["details"]} == {"bg_image", "shadow"}
    answer = send(key, ("a.png", small_png), background=small_png, bg_blur="9")
    assert (answer.status_code, answer.json()["code"]) == (400, "two_backgrounds")
    answer = send(key, ("a.png", small_png), bg_image_url="ftp://example.com/")
    assert (answer.status_code, answer.json()["error"][:14]) == (400, "'bg_image_url'")
    assert BatchItem.objects.count() == 0


def test_another_background_is_another_batch(key, small_png):
    red, blue = (file_bytes(Image.new("RGB", (5, 5), color)) for color in ("red", "blue"))
    client = caller(key, **{"idempotency-key": "same"})

    def post(background):
        form = batch_form(("a.png", small_png))
        form["data"] = part('name="bg_image"; filename="b.png"', background) + form["data"]
        return client.post("/api/batches", **form)

    first = post(red)
    assert first.status_code == 202
    assert post(red).json()["id"] == first.json()["id"]
    assert post(blue).json()["code"] == "idempotency_key_reused"
