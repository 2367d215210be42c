"""`POST /v1.0/improve`: off by default; else images are kept for the operator, within bounds."""

import json
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.deletion import delete_account
from tests.imaging.compat.conftest import Answer, blank

IMAGE = blank(12, 8)


@pytest.fixture
def improve(client, key, premium):
    def send(image=IMAGE, **fields):
        data = {**fields, **({"image_file": SimpleUploadedFile("x", image)} if image is not None else {})}
        return Answer(client.post("/v1.0/improve", data, headers={"x-api-key": key}))

    return send


@pytest.fixture
def folder(settings, tmp_path):
    settings.IMPROVE_FOLDER = str(tmp_path / "kept")
    return tmp_path / "kept"


def test_off_by_default(improve, tmp_path):
    answer = improve()
    assert (answer.status, answer.codes) == (404, ["not_found"])
    assert answer.errors[0]["detail"] == "This service collects no images. Nothing was kept."


def test_an_image_is_kept_with_what_its_sender_said(improve, folder, user):
    answer = improve(image_filename="../../cat\x00.jpg", tag="cats")
    name = json.loads(answer.content)["id"]
    assert (answer.status, str(uuid.UUID(name))) == (200, name)
    assert (folder / user.public_id / f"{name}.png").read_bytes() == IMAGE
    facts = json.loads((folder / user.public_id / f"{name}.json").read_text())
    assert facts["tag"] == "cats"
    assert facts["image_filename"] == "../../cat.jpg"
    assert len(list(folder.rglob("*.*"))) == 2


@pytest.mark.parametrize(
    ("image", "fields", "code"),
    [
        (None, {}, "missing_source"),
        (b"GIF89a", {}, "invalid_file_type"),
        (IMAGE, {"image_url": "http://a"}, "multiple_sources"),
        (None, {"image_url": "nonsense"}, "invalid_image_url"),
        (None, {"image_file_b64": "!"}, "failed_to_read_image"),
    ],
)
def test_what_is_refused_leaves_nothing(improve, folder, image, fields, code):
    answer = improve(image, **fields)
    assert (answer.status, answer.codes) == (400, [code])
    assert not folder.exists()


def test_its_bounds(improve, folder, settings):
    settings.IMPROVE_PER_DAY = 2
    assert [improve().status for _ in range(3)] == [200, 200, 429]
    answer = improve()
    assert (answer.codes, answer.headers["Retry-After"]) == (["rate_limit_exceeded"], "3600")
    settings.IMPROVE_PER_DAY = 100
    (folder / "other").mkdir()
    (folder / "other" / "large.png").write_bytes(bytes(1024**2))
    settings.IMPROVE_MEGABYTES = 1
    assert improve().status == 429


def test_the_images_of_a_deleted_account_are_deleted(improve, folder, user):
    improve()
    assert (folder / user.public_id).exists()
    public_id = user.public_id
    delete_account(user)
    assert not (folder / public_id).exists()
