"""`GET /api/models`, and the field `model` of /rmbg and of batches."""

import pytest

from imaging.core.matting.matte import Prediction
from imaging.core.weights.registry import NATIVE, versioned
from imaging.executor import models, runtime
from tests.imaging.removal.forms import form

pytestmark = pytest.mark.django_db


class Named:
    """A stand-in for a loaded model."""

    def __init__(self, name, model):
        self.name = name
        self.predict = model.predict


@pytest.fixture
def two_models(settings, monkeypatch, quick_model):
    """u2net is the default, u2netp is loaded on first use; both are stand-ins."""
    settings.IMAGING_MODELS = ["u2net", "u2netp"]
    monkeypatch.setattr(models, "weights_ready", lambda name: True)
    loads = []

    def load(name):
        loads.append(name)
        model = Named(f"{versioned(name)}; engine=stand-in", quick_model)
        model.predict = lambda image: Prediction(quick_model.predict(image).matte, model.name, 0.75)
        return model

    monkeypatch.setattr(runtime, "_pool", models.Pool(load))
    return loads


def test_lists_what_is_served(client, two_models):
    answer = client.get("/api/models")
    assert answer.status_code == 200
    assert answer.json() == {
        "models": [
            {
                "name": "u2net",
                "version": "8d10d2f3bb75",
                "licence": "Apache-2.0",
                "commercial_use": True,
                "speed": "medium",
                "price": 1,
                "default": True,
            },
            {
                "name": "u2netp",
                "version": NATIVE["u2netp"].version,
                "licence": "Apache-2.0",
                "commercial_use": True,
                "speed": "fast",
                "price": 1,
                "default": False,
            },
        ]
    }


def test_a_wrong_key_is_told_so(client, two_models):
    assert client.get("/api/models", HTTP_X_API_KEY="rk_wrong").status_code == 401


def rmbg(client, png, **fields):
    return client.post("/rmbg", **form(png, **fields))


def test_without_the_field_the_default_serves(client, two_models, small_png):
    answer = rmbg(client, small_png)
    assert answer.status_code == 200
    assert answer.headers["X-Model"] == "ellipse"
    assert two_models == []


@pytest.mark.parametrize("model", ["u2netp", f"u2netp@{NATIVE['u2netp'].version}", " u2netp "])
def test_another_one_is_loaded_and_names_itself(client, two_models, small_png, model):
    answer = rmbg(client, small_png, model=model)
    assert answer.status_code == 200
    assert answer.headers["X-Model"] == f"u2netp@{NATIVE['u2netp'].version}; engine=stand-in"
    assert answer.headers["X-Confidence"] == "0.750"
    assert two_models == ["u2netp"]


def test_an_unknown_one_lists_the_served(client, two_models, small_png):
    answer = rmbg(client, small_png, model="fastest")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_model")
    assert "u2net@8d10d2f3bb75, u2netp@" in answer.json()["error"]


def test_a_version_that_is_gone_says_so(client, two_models, small_png):
    answer = rmbg(client, small_png, model="u2net@000000000000")
    assert (answer.status_code, answer.json()["code"]) == (400, "model_version_gone")


def test_it_is_found_in_one_pass_with_the_others(client, two_models, small_png):
    answer = rmbg(client, small_png, model="fastest", angle="x")
    assert [detail["field"] for detail in answer.json()["details"]] == ["angle", "model"]


def test_another_default_leaves_a_pinned_caller_alone(client, two_models, settings, small_png):
    settings.IMAGING_MODELS = ["silueta", "u2netp"]
    answer = rmbg(client, small_png, model=f"u2netp@{NATIVE['u2netp'].version}")
    assert answer.headers["X-Model"].startswith(f"u2netp@{NATIVE['u2netp'].version}")
