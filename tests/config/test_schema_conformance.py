"""Schemathesis: whatever a caller sends, the answer is one that the OpenAPI document describes."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS

from config.wsgi import application

CONFORMANCE = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]


@pytest.mark.django_db
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_of_membership_usage_is_described(key, known):
    operation = schemathesis.openapi.from_wsgi("/api/openapi", application)["/api/membership-usage"]["GET"]
    checks = CHECKS.get_by_names(CONFORMANCE)

    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        response = case.call(headers={"x-api-key": key if known else "nonsense"})
        case.validate_response(response, checks=checks)  # type: ignore[arg-type]  # its registry is typed more widely

    ask()
