"""Hostile values in every field and encoding: no 5xx, and every error in its own shape."""

import base64
import json

import pytest

from imaging.compat.fields import parse_fields
from tests.imaging.compat.conftest import Answer, blank

IMAGE = blank(6, 4)
FIELDS = (
    "size", "type", "type_level", "format", "roi", "crop", "crop_margin", "scale", "position", "channels", "add_shadow",
    "shadow_type", "shadow_type[car]", "shadow_opacity", "shadow_opacity[other]", "semitransparency", "bg_color",
    "bg_image_url", "image_url", "image_file_b64",
)  # fmt: skip
VALUES = (
    " ", "\x00", "\ud800", "é" * 9000, "NaN", "inf", "1e999%", "-0", "9" * 5000, "%", "%%", "px", "0px 0px 0px 0px",
    "1 2 3 4 5", "100%" * 100, "٣", "true\n", "<script>", "' OR 1=1", "../../etc/passwd", "http://[", "http://a:b@c",
    "file:///etc/passwd", "data:image/png;base64,", "null", "[]", "{}", "1/0", "original original", "center 50%",
)  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_a_parser_never_raises(field):
    for value in VALUES:
        wanted, problems = parse_fields({field: value}, ())
        assert all(problem.message and problem.code for problem in problems)
        if not problems:
            wanted.at((6, 4), wanted.size_class)


def test_all_values_in_all_fields_as_json(client, key, premium, quick_model, monkeypatch):
    """Several at once, as each request has a cost: every field has every value in some request."""
    statuses = set()
    for turn in range(len(VALUES)):
        members = {field: VALUES[(at + turn) % len(VALUES)] for at, field in enumerate(FIELDS)}
        answer = Answer(
            client.post("/v1.0/removebg", json.dumps(members), content_type="application/json", headers={"x-api-key": key})
        )
        statuses.add(answer.status)
        assert answer.errors
    assert statuses == {400}


@pytest.mark.parametrize("value", [None, 0, -1, 1e308, [], {}, [[]], {"car": {"car": 1}}, True, ["auto"], {"": ""}], ids=str)
def test_other_types_of_json(client, key, premium, quick_model, value):
    members = dict.fromkeys((field for field in FIELDS if not field.startswith("image")), value)
    members["image_file_b64"] = base64.b64encode(IMAGE).decode()
    answer = Answer(
        client.post("/v1.0/removebg", json.dumps(members), content_type="application/json", headers={"x-api-key": key})
    )
    assert answer.status in (200, 400)
    if answer.status == 400:
        assert answer.errors
