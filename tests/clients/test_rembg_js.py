"""Our own client, `clients/rembg.js`, against the running product: runs its tests and shows what they say."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.clients.npm import require_official_client, require_packages
from tests.conftest import skip_or_fail
from tests.server import ROOT
from tests.services.deployment import Deployment

CLIENT = ROOT / "clients/rembg.js"
PERSON = ROOT / "imaging/static/imaging/samples/astronaut.jpg"

pytestmark = pytest.mark.node
# One worker has the small product, which may be another worker than that of the usual product.
with_small_product = pytest.mark.xdist_group("small_server")


def photos() -> str:
    """Two photographs: a person as JPEG and scikit-image's cat as PNG."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    return f"{PERSON}:{Path(spec.origin).parent / 'data/chelsea.png'}"


def run_node_tests(name: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run one file of the client's tests; its temporary files go to `folder`, where it looks for left-over ones."""
    node = shutil.which("node")
    if not node:
        skip_or_fail("there is no Node")
    own = {"TMPDIR": str(folder), "REMBG_TEST_PHOTOS": photos()}
    done = subprocess.run(
        [node, "--test", f"test/{name}.test.mjs"],
        cwd=CLIENT, env={**os.environ, **own, **(environment or {})}, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout.replace("ℹ", "#")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A product with few slots and small allowances, and a stand-in for the model."""
    allowances = {"IMAGING_SLOTS": "1", "IMAGING_QUEUE_SIZE": "4", "ANONYMOUS_IMAGES_PER_DAY": "1"}
    deployment = Deployment(tmp_path_factory.mktemp("small"), model_seconds=0.15, **allowances)
    try:
        yield deployment.start()
    finally:
        deployment.stop()


@pytest.fixture(scope="module")
def small_server(small: Deployment) -> dict[str, str]:
    """What the client's tests need: its address, and keys of accounts that are refused for one reason each."""
    accounts = {
        "usual": small.call("open_account", included=1000),
        "unverified": small.call("open_account", included=1),
        "empty": small.call("open_account", included=0),
        "onePerMinute": small.call("open_account", included=1000, per_minute=1),
        "oneAtOnce": small.call("open_account", included=1000, at_once=1),
    }
    small.call("forget_verification", email=accounts["unverified"]["email"])
    keys = {name: account["key"] for name, account in accounts.items()}
    keys["userToken"] = small.call("mint_user_token", email=accounts["usual"]["email"])
    return {"REMBG_TEST_SMALL_URL": small.url, "REMBG_TEST_SMALL_KEYS": json.dumps(keys)}


def test_every_input_and_option_on_photographs(server, server_key, tmp_path):
    run_node_tests("product", tmp_path, {"REMBG_BASE_URL": server.url, "REMBG_TEST_KEY": server_key})


@with_small_product
@pytest.mark.parametrize("name", ["charges", "errors"])
def test_charges_and_every_error_of_the_product(small, small_server, tmp_path, name):
    run_node_tests(name, tmp_path, small_server)
    assert small.call("differences") == []


@with_small_product
def test_the_examples_of_both_readmes(small_server, tmp_path):
    official = require_official_client()
    run_node_tests("examples", tmp_path, {**small_server, "REMBG_TEST_OFFICIAL_CLIENT": str(official)})


def test_the_cases_that_it_shares_with_the_python_client(tmp_path):
    run_node_tests("cases", tmp_path)


def test_broken_connections_proxies_and_limits(tmp_path):
    run_node_tests("transport", tmp_path)


def test_memory(tmp_path):
    run_node_tests("memory", tmp_path)


def test_what_is_shipped_is_what_the_sources_build(tmp_path):
    require_packages(CLIENT, "ci", probe="esbuild")
    run_node_tests("package", tmp_path)
