"""Schemathesis: the OpenAPI document describes every answer, for any input of a caller."""

from collections.abc import Iterator

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given
from schemathesis.checks import CHECKS

from config.wsgi import application
from imaging.removal import image_url
from imaging.removal.refusals import FetchFailed
from tests.examples import examples

CONFORMANCE = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]


@pytest.fixture(autouse=True)
def _kept_connection() -> Iterator[None]:
    """Django sees real requests here and would close the connection between them: the test's, with its transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_of_membership_usage_is_described(key, known):
    operation = schemathesis.openapi.from_wsgi("/api/openapi", application)["/api/membership-usage"]["GET"]
    checks = CHECKS.get_by_names(CONFORMANCE)

    @examples(20, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        response = case.call(headers={"x-api-key": key if known else "nonsense"})
        case.validate_response(response, checks=checks)  # type: ignore[arg-type]  # its registry is typed more widely

    ask()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/v1.0/removebg", "/v1.0/improve", "/v1.0/account"])
def test_every_answer_of_the_compatible_endpoints_is_described(key, quick_model, monkeypatch, path):
    """Whatever is sent: no fault of ours, and every error in its own shape. No address is fetched."""
    monkeypatch.setattr(image_url, "fetch", _fetch_nothing)
    method = "GET" if path == "/v1.0/account" else "POST"
    operation = schemathesis.openapi.from_wsgi("/api/openapi", application)[path][method]
    checks = CHECKS.get_by_names([name for name in CONFORMANCE if name != "content_type_conformance"])

    @examples(40, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        response = case.call(headers={"x-api-key": key})
        case.validate_response(response, checks=checks)  # type: ignore[arg-type]  # its registry is typed more widely
        if response.status_code >= 400:
            assert set(response.json()) == {"errors"}

    ask()


def _fetch_nothing(*arguments: object, **options: object) -> None:
    raise FetchFailed(image_url.unreachable())
