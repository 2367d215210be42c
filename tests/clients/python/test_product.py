"""The Python client against the running product: charges, batches, limits, an account that cannot pay."""

import asyncio
import zipfile

import numpy as np
import pytest
from PIL import Image
from rembg_client import AsyncClient, Client, InvalidInput, Model, NotAllowed, NotFound, OutOfCredits, Refused, TimedOut

from tests.clients.python.run_async import run_async
from tests.conftest import encoded


@pytest.fixture
def client(product, account):
    with Client(account["key"], base_url=product.url) as client:
        yield client


def picture(color: str = "orange", size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB", size, color)


def test_every_kind_of_image_and_option(client, tmp_path):
    picture().save(tmp_path / "photo.jpg")
    path = tmp_path / "photo.jpg"
    assert (client.remove_background(path).width, client.remove_background(path).media_type) == (40, "image/webp")
    assert client.remove_background(path.read_bytes(), w=20, format="png").image().size == (20, 15)
    assert client.remove_background(picture(), mask=True, format="png").image().mode == "L"
    array = client.remove_background(np.zeros((30, 40, 3), np.uint8), w=50, h=50, exact_resize=True)
    assert (array.width, array.height, array.credits_charged, array.model) == (50, 50, 1, "ellipse")
    with path.open("rb") as file:
        turned = client.remove_background(file, tmp_path / "turned.bmp", angle=45, bg_color="#00f", format="bmp")
    with Image.open(tmp_path / "turned.bmp") as image:
        assert image.size == (turned.width, turned.height) == (50, 50)
        assert image.convert("RGB").getpixel((1, 1)) == (0, 0, 255)
    assert client.remove_background(path, angle=45, expand=False, format="JPG").image().size == (40, 30)


def test_an_idempotency_key_is_charged_once(client, product):
    charged = [client.remove_background(picture(), idempotency_key="order-1").credits_charged for _ in range(2)]
    assert charged == [1, 0]
    assert client.membership_usage().api_usage == 1
    assert product.call("differences") == []


def test_usage_in_a_month_in_a_window_and_in_all(client):
    client.remove_background(picture())
    usage = client.membership_usage(billing_cycle=True)
    assert (usage.credits, usage.api_usage, usage.remaining) == (1000, 1, 999)
    assert client.membership_usage(year=2001).api_usage == 0
    assert client.membership_usage().remaining is None
    [cycle] = client.billing_cycles()
    assert cycle.period_start_unix == usage.billing_cycle.period_start_unix
    assert client.membership_usage(period_start_unix=cycle.period_start_unix).api_usage == 1
    with pytest.raises(Refused):
        client.membership_usage(year=2025, period_start_unix=cycle.period_start_unix)


def test_problems_are_told_all_at_once(client):
    with pytest.raises(Refused) as raised:
        client.remove_background(picture(), w=-5, angle=500)
    assert {problem.field for problem in raised.value.details} == {"w", "angle"}
    assert raised.value.request_id
    assert client.membership_usage().api_usage == 0


def test_refusals_are_told_apart(product, account):
    with Client("wrong", base_url=product.url) as client, pytest.raises(NotAllowed):
        client.membership_usage()
    empty = product.call("open_account", included=0)
    with Client(empty["key"], base_url=product.url) as client, pytest.raises(OutOfCredits) as raised:
        client.remove_background(picture())
    assert (raised.value.code, raised.value.retry_after > 0) == ("monthly_limit_reached", True)
    product.call("forget_verification", email=empty["email"])
    with Client(empty["key"], base_url=product.url) as client, pytest.raises(NotAllowed) as unverified:
        client.remove_background(picture())
    assert unverified.value.code == "email_not_verified"


def test_a_batch_from_its_making_to_its_end(client, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("shoes/red.png", encoded(picture("red")))
        archive.writestr("notes.txt", "no image")
    looks: list[dict] = []
    batch = client.batches.create([picture(), b"no image"], zips=[tmp_path / "photos.zip"], format="png", w=20)
    assert (batch.status, batch.counts["total"]) == ("processing", 4)
    batch = client.batches.wait(batch, on_progress=lambda batch: looks.append(batch.counts), poll=0.2)
    assert [item.is_done for item in batch.items] == [True, False, True, False]
    assert [item.code for item in batch.items if item.code] == ["invalid_image", "unsupported_file_type"]
    assert (batch.credits_held, batch.credits_charged, looks[-1]["done"]) == (0, 2, 2)
    client.batches.download(batch, tmp_path / "cutouts.zip")
    with zipfile.ZipFile(tmp_path / "cutouts.zip") as archive:
        assert archive.namelist() == ["image.png", "shoes/red.png"]
    assert client.batches.download_item(batch, 0).image().size == (20, 15)
    with pytest.raises(NotFound) as raised:
        client.batches.download_item(batch, 1)
    assert raised.value.code == "no_result"


def test_several_results_of_each_image(client, tmp_path):
    behind = picture("blue")
    outputs = [{"name": "scene"}, {"name": "white", "bg_color": "#fff", "format": "jpg"}, {"mask": True, "w": None}]
    batch = client.batches.create([picture()], outputs=outputs, bg_image=behind, format="png", w=20)
    batch = client.batches.wait(batch, poll=0.2)
    (item,) = batch.items
    assert [(one.name, one.extension, one.width) for one in item.results] == [
        ("scene", "png", 20), ("white", "jpg", 20), (None, "png", 40),
    ]  # fmt: skip
    assert (batch.credits_charged, item.results[0].foreground) == (1, item.results[1].foreground)
    colors = [client.batches.download_item(batch, 0, result=number).image().getpixel((0, 0)) for number in range(3)]
    assert (colors[0], min(colors[1]) > 240, colors[2]) == ((0, 0, 255), True, 0)
    client.batches.download(batch, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.namelist() == ["image-scene.png", "image-white.jpeg", "image.png"]
    with pytest.raises(Refused) as raised:
        client.batches.create([picture()], outputs=[{"w": -1}, {"name": "A"}])
    assert [problem.field for problem in raised.value.details] == ["outputs[0].w", "outputs[1].name"]
    with pytest.raises(InvalidInput):
        client.batches.create([picture()], outputs=[{"colour": "red"}])


def test_an_image_goes_behind_the_subject(client, tmp_path):
    picture("lime").save(tmp_path / "wall.png")
    for behind in (tmp_path / "wall.png", picture("lime"), (tmp_path / "wall.png").read_bytes()):
        assert client.remove_background(picture(), bg_image=behind, format="png").image().getpixel((0, 0)) == (0, 255, 0)
    with pytest.raises(InvalidInput):
        client.remove_background(picture(), bg_image=picture(), bg_image_url="https://example.com/a.png")
    with pytest.raises(Refused) as raised:
        client.remove_background(picture(), bg_image=b"no image")
    assert raised.value.code == "invalid_image"


def test_models_are_described(client):
    model = client.models()[0]
    assert set(model) == set(Model.__annotations__)
    assert (model["name"], model["default"]) == ("u2net", True)


def test_batches_are_listed_cancelled_and_erased(client):
    made = [client.batches.create([picture()], idempotency_key=f"batch-{number}") for number in (1, 2)]
    assert client.batches.create([picture()], idempotency_key="batch-1").id == made[0].id
    assert [batch.id for batch in client.batches.list()] == [batch.id for batch in reversed(made)]
    assert client.batches.cancel(made[0]).has_ended
    assert client.batches.wait(made[1].id).status == "finished"
    client.batches.delete(made[1])
    with pytest.raises(NotFound) as raised:
        client.batches.download_item(made[1], 0)
    assert raised.value.code == "batch_expired"


def test_waiting_for_a_batch_has_a_time_limit(client):
    batch = client.batches.create([picture(size=(2000, 1500))] * 20)
    with pytest.raises(TimedOut):
        client.batches.wait(batch, timeout=0.05, poll=0.02)
    client.batches.delete(batch)


def test_the_asynchronous_client_does_the_same(product, account):
    async def main() -> None:
        async with AsyncClient(account["key"], base_url=product.url) as client:
            cutouts = await asyncio.gather(*(client.remove_background(picture(), w=width) for width in (8, 16, 24)))
            assert [cutout.width for cutout in cutouts] == [8, 16, 24]
            batch = await client.batches.wait(await client.batches.create([picture()]), poll=0.2)
            assert (await client.batches.download_item(batch, 0)).width == 40
            assert [listed.id async for listed in client.batches.list()] == [batch.id]
            assert (await client.membership_usage(billing_cycle=True)).remaining == 1000 - 4
            assert len(await client.billing_cycles()) == 1
            with pytest.raises(Refused):
                await client.remove_background(b"no image")
            await client.batches.delete(batch)

    run_async(main())


def test_without_a_key_the_daily_allowance_counts(product, monkeypatch):
    monkeypatch.delenv("REMBG_API_KEY", raising=False)
    with Client(base_url=product.url) as client:
        assert client.remove_background(picture()).credits_charged == 0
        with pytest.raises(OutOfCredits) as raised:
            client.remove_background(picture())
    assert raised.value.code == "daily_limit_reached"


def test_two_at_once_where_one_may_be_both_arrive(product):
    account = product.call("open_account", included=10, at_once=1)

    async def main() -> list[int | None]:
        async with AsyncClient(account["key"], base_url=product.url) as client:
            calls = [client.remove_background(picture(size=(600, 600))) for _ in range(2)]
            return [cutout.credits_charged for cutout in await asyncio.gather(*calls)]

    assert run_async(main()) == [1, 1]
