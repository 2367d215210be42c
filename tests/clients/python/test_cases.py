"""What rembg.js and the Python client have to do alike. The other half is clients/rembg.js/test/cases.test.mjs."""

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
import rembg_client
from rembg_client import AsyncClient, Client, InvalidInput, RembgError
from rembg_client.options import ROWS

from tests.clients.python.fake_server import IMAGE, answering, break_off, fake_server, hang_up, image, refusal
from tests.clients.python.run_async import run_async
from tests.server import ROOT

CASES = json.loads((ROOT / "clients/cases.json").read_text())
PNG = bytes(1000)
# The form's fields that are no options of an image.
NOT_OPTIONS = {"image", "image_url", "bg_image", "return_base64"}


def answer_of(step):
    if isinstance(step, str):
        return {"image": image, "hang up": hang_up, "break off": break_off}[step]
    if "code" in step:
        return refusal(step["status"], step["code"], retry_after="0")
    return answering(step["status"], headers={"retry-after": "0"})


def schema_options() -> dict:
    document = json.loads((ROOT / "tests/website/openapi.golden.json").read_text())
    form = document["paths"]["/rmbg"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    return {name: field for name, field in form["properties"].items() if name not in NOT_OPTIONS}


def test_the_table_of_options_is_that_of_the_api():
    fields = schema_options()
    assert set(ROWS) == set(fields)
    kinds = {"integer": int, "number": float, "boolean": bool, "string": str}
    assert {name: row.kind for name, row in ROWS.items()} == {name: kinds[field["type"]] for name, field in fields.items()}
    choices = {name: row.choices for name, row in ROWS.items() if row.choices}
    # An empty value is the same as none.
    assert choices == {name: tuple(filter(None, fields[name]["enum"])) for name in choices}


def test_every_option_has_a_case_and_a_type_in_both_clients():
    covered = {name for case in CASES["options"] for name in case["fields"]}
    assert covered == set(schema_options())
    types = (ROOT / "clients/rembg.js/src/types.ts").read_text().split("interface Options {")[1].split("\n}")[0]
    assert all(f"\n  {name}?: " in types for name in covered)


@pytest.mark.parametrize("case", CASES["options"], ids=lambda case: str(case["options"]))
def test_options(case):
    with fake_server(image) as server, Client(base_url=server.url) as client:
        client.remove_background(PNG, **case["options"])
    assert server.seen[0].fields == case["fields"]
    assert server.seen[0].files == [("image", "image.png", PNG)]


def background_of(case: dict, folder: Path) -> bytes | Path:
    """As bytes, or as a file's path."""
    if "bytes" in case:
        return case["bytes"].encode()
    path = folder / case["path"]
    path.write_text(case["text"])
    return path


@pytest.mark.parametrize("case", CASES["backgrounds"], ids=lambda case: str(case["bg_image"]))
def test_backgrounds(case, tmp_path):
    behind = background_of(case["bg_image"], tmp_path)
    with fake_server(image) as server, Client(base_url=server.url) as client:
        client.remove_background(PNG, bg_image=behind, **case.get("options", {}))
    assert server.seen[0].fields == case["fields"]
    file = case["file"]
    assert server.seen[0].files == [("image", "image.png", PNG), ("bg_image", file["name"], file["text"].encode())]


@pytest.mark.parametrize("case", CASES["outputs"], ids=lambda case: str(case["outputs"]))
def test_outputs(case):
    batch = {"id": str(uuid4()), "status": "processing", "counts": {}, "credits": {"held": 1, "charged": 0}}
    with fake_server(answering(202, batch)) as server, Client(base_url=server.url) as client:
        client.batches.create([PNG], outputs=case["outputs"], format="webp")
    fields = server.seen[0].fields
    assert (json.loads(fields["outputs"]), fields["format"]) == (case["sent"], "webp")


@pytest.mark.parametrize("case", CASES["usage"], ids=lambda case: str(case["parameters"]))
def test_usage(case):
    given = case["parameters"]
    parameters = {
        "year": given.get("year"), "month": given.get("month"), "period_start_unix": given.get("periodStartUnix"),
        "billing_cycle": given.get("expand") == "billing_cycle",
    }  # fmt: skip
    body = {"membership": "Free", "credits": 7, "prepaidCredits": 0, "app_usage": 0, "api_usage": 0}
    with fake_server(answering(200, body)) as server, Client(base_url=server.url) as client:
        assert client.membership_usage(**parameters).credits == 7
    address = urlsplit(server.seen[0].path)
    assert address.path == "/api/membership-usage"
    assert dict(parse_qsl(address.query)) == case["query"]


@pytest.mark.parametrize("case", CASES["errors"], ids=lambda case: f"{case['error']['status']}-{case['error']['code']}")
def test_errors(case):
    answer, expected = case["answer"], case["error"]
    give = answering(answer["status"], answer["body"], answer.get("headers"))
    with fake_server(give) as server, Client(base_url=server.url, retries=0) as client, pytest.raises(RembgError) as raised:
        client.remove_background(PNG)
    error = raised.value
    assert type(error) is getattr(rembg_client, expected["class"])
    assert (error.status, error.code) == (expected["status"], expected["code"])
    assert error.message == str(error) == expected.get("message", error.message)
    assert [vars(problem) for problem in error.details] == expected.get("details", [])
    assert error.request_id == expected.get("requestId")
    assert error.retry_after == expected.get("retryAfter")


async def outcome_of_async(url: str, retries: int) -> str:
    async with AsyncClient(base_url=url, retries=retries) as client:
        try:
            assert (await client.remove_background(PNG)).data == IMAGE
        except RembgError as error:
            return error.code
        return "image"


def outcome_of_sync(url: str, retries: int) -> str:
    with Client(base_url=url, retries=retries) as client:
        try:
            assert client.remove_background(PNG).data == IMAGE
        except RembgError as error:
            return error.code
        return "image"


@pytest.mark.parametrize("case", CASES["retries"], ids=lambda case: f"{case['answers']}-{case['retries']}")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_retries(case, kind):
    with fake_server(*map(answer_of, case["answers"])) as server:
        if kind == "sync":
            outcome = outcome_of_sync(server.url, case["retries"])
        else:
            outcome = run_async(outcome_of_async(server.url, case["retries"]))
    assert (outcome, len(server.seen)) == (case["outcome"], case["requests"])
    assert len({seen.headers["idempotency-key"] for seen in server.seen}) == 1


@pytest.mark.parametrize("case", CASES["credentials"], ids=str)
def test_credentials(case, monkeypatch):
    monkeypatch.delenv("REMBG_API_KEY", raising=False)
    given = {"api_key": case.get("apiKey"), "user_token": case.get("userToken")}
    if case.get("refused"):
        with pytest.raises(InvalidInput):
            Client(**given)
        return
    with fake_server(image) as server, Client(base_url=server.url, **given) as client:
        client.remove_background(PNG)
    names = ("x-api-key", "authorization")
    assert {name: server.seen[0].headers[name] for name in names if name in server.seen[0].headers} == case["headers"]


@pytest.mark.parametrize("case", CASES["idempotencyKeys"], ids=str)
def test_idempotency_keys(case):
    with fake_server(image) as server, Client(base_url=server.url) as client:
        if case.get("refused"):
            with pytest.raises(InvalidInput):
                client.remove_background(PNG, idempotency_key=case["key"])
            assert not server.seen
        else:
            client.remove_background(PNG, idempotency_key=case["key"])
            assert server.seen[0].headers["idempotency-key"] == case["sent"]


@pytest.mark.parametrize("case", CASES["addresses"], ids=str)
def test_addresses(case):
    with pytest.raises(InvalidInput):
        Client(base_url=case["baseUrl"])


@pytest.mark.parametrize("case", CASES["facts"], ids=str)
def test_facts(case):
    give = answering(200, "image", {"content-type": "image/png", **case["headers"]})
    with fake_server(give) as server, Client(base_url=server.url) as client:
        cutout = client.remove_background(PNG)
    facts = case["facts"]
    assert (cutout.width, cutout.height, cutout.credits_charged) == (
        facts["width"],
        facts["height"],
        facts["creditsCharged"],
    )
    assert (cutout.foreground and cutout.foreground._asdict()) == facts["foreground"]
    assert cutout.confidence == facts["confidence"]
    assert (cutout.model, cutout.request_id, cutout.data) == (facts["model"], facts["requestId"], b"image")
