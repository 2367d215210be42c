"""`GET /api/openapi`: the document is valid, complete and the same as the golden file."""

import json
import os
import tomllib
from pathlib import Path

import pytest
import yaml
from django.test import Client
from openapi_spec_validator import validate

import config
from tests.server import ROOT

GOLDEN = Path(__file__).parent / "openapi.golden.json"


@pytest.fixture
def document(client: Client) -> dict:
    return json.loads(client.get("/api/openapi?format=json").content)


def test_it_is_a_valid_openapi_document(document):
    validate(document)


def test_it_is_the_golden_one(document):
    """UPDATE_GOLDEN=1 rewrites the file; read the diff before committing it."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    assert document == json.loads(GOLDEN.read_text())


def test_its_version_is_that_of_the_project_and_of_the_javascript_client(document):
    package, lock = (
        json.loads((ROOT / "clients/rembg.js" / name).read_text()) for name in ("package.json", "package-lock.json")
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "config.__version__"}
    versions = {document["info"]["version"], package["version"], lock["version"], lock["packages"][""]["version"]}
    assert versions == {config.__version__}


def test_json_is_the_default_and_yaml_exists_too(client: Client, document):
    assert json.loads(client.get("/api/openapi").content) == document
    assert yaml.safe_load(client.get("/api/openapi?format=yaml").content) == document


def test_rmbg_lists_every_field_and_error(document):
    operation = document["paths"]["/rmbg"]["post"]
    fields = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(fields) == {
        "image", "image_url", "format", "w", "h", "exact_resize", "mask", "bg_color", "angle", "expand", "model",
        "return_base64",
        "detail", "decontaminate", "crop", "crop_margin", "roi", "scale", "position", "fit", "padding", "snap", "bg_image",
        "bg_image_url", "bg_blur", "shadow", "shadow_opacity", "shadow_color", "shadow_blur", "shadow_offset", "preset",
        "quality", "dpi",
    }  # fmt: skip
    assert set(operation["responses"]) == {"200", "400", "401", "403", "405", "409", "413", "415", "429", "500", "503"}
    assert set(operation["responses"]["200"]["content"]) == {"image/webp", "image/png", "image/jpeg", "image/bmp"}
    assert len(operation["responses"]["400"]["content"]["application/json"]["examples"]) >= 19
    assert {"X-Request-Id", "X-Width", "X-Credits-Charged", "Server-Timing"} <= set(operation["responses"]["200"]["headers"])
    assert operation["security"] == [{"ApiKey": []}, {"UserToken": []}, {}]
