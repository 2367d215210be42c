"""A page of another site calls `/v1.0/removebg` with a key, as remove.bg's own demo does."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.hosts import Host, answer

PAGE = b"<!doctype html><title>Shop</title><p>Another site"
SCRIPT = """async ([address, key, photo]) => {
  const bytes = Uint8Array.from(atob(photo), (character) => character.charCodeAt(0));
  const form = new FormData();
  form.append("image_file", new Blob([bytes], { type: "image/jpeg" }));
  form.append("image_url", "");
  form.append("api_key", key);
  form.append("size", "auto");
  const send = (headers) => fetch(`${address}/v1.0/removebg`, { method: "POST", headers, body: form });
  const response = await send({ "X-API-Key": key, Accept: "application/json" });
  const refused = await send({ "X-API-Key": "wrong" });
  return {
    status: response.status,
    body: await response.json(),
    headers: Object.fromEntries(response.headers),
    refused: await refused.json(),
  };
}"""


@pytest.fixture
def other_site() -> Iterator[str]:
    """A page on another origin."""
    host = Host(lambda path: [answer(PAGE, "Content-Type: text/html")])
    yield f"http://127.0.0.1:{host.port}/"
    host.stop()


def test_a_page_of_another_site(browser: Browser, server, server_key, photo, other_site):
    import base64

    context = browser.new_context()
    page = context.new_page()
    page.goto(other_site)
    seen = page.evaluate(SCRIPT, [server.url, server_key, base64.b64encode(photo).decode()])
    context.close()
    assert seen["status"] == 200
    assert base64.b64decode(seen["body"]["data"]["result_b64"]).startswith(b"\x89PNG")
    assert seen["body"]["data"]["foreground_width"] > 0
    readable = seen["headers"]
    assert readable["x-credits-charged"] == "1"
    assert {"x-type", "x-width", "x-max-width", "x-ratelimit-remaining", "x-foreground-left"} <= set(readable)
    assert seen["refused"]["errors"][0]["code"] == "auth_failed"
