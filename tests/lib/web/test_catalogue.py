"""The error catalogue has a row for each code that is raised, and no others."""

import re
from functools import cache
from string import Formatter

import pytest
from django.utils import translation
from django.utils.functional import Promise
from rest_framework import exceptions

from imaging.core.options import parse_options
from imaging.problems import make_problem
from lib.web import catalogue
from lib.web.errors import ApiError, from_status
from tests.lib.web.raised_codes import ROOT, Found, raised_in, sources

# An error passed on from where it was found to where it is answered: its code is written elsewhere.
PASSED_ON = {"code", "error.code", "problem.code", "problems[0].code"}
# Exceptions that their callers always catch.
CAUGHT = {"InvalidSignature", "OutOfDate"}
# Raised by the framework for bare statuses.
FRAMEWORK = {error.status_code for error in vars(exceptions).values() if hasattr(error, "status_code")}
# Worded where it is raised: an app's objection to a deletion.
WORDED_ELSEWHERE = {"deletion_refused"}

# Reading all of the source takes seconds: one worker does it, and only if it runs these tests.
pytestmark = pytest.mark.xdist_group("catalogue")


@cache
def raised() -> Found:
    """By all of the product."""
    return raised_in(*sources())


@cache
def raised_by(*apps: str) -> Found:
    return raised_in(*(path for path in sources() if path.relative_to(ROOT).parts[0] in apps))


@cache
def raised_by_the_core() -> Found:
    return raised_in(*(ROOT / "imaging/core").glob("**/*.py"))


def test_every_code_that_is_raised_has_a_row():
    assert sorted(raised().codes - set(catalogue.ROWS)) == []


def test_every_row_is_raised():
    by_status = {code for status, code in catalogue.DEFAULTS.items() if status in raised().statuses | FRAMEWORK}
    written = {"validation_error"} | raised().codes
    assert sorted(set(catalogue.ROWS) - written - by_status) == []


def test_every_translated_exception_is_raised():
    """Its translation names a code, so without this the row of a code that is never raised would go unnoticed."""
    assert raised().translated - raised().raised == set()


def test_every_exception_of_accounts_and_billing_has_a_translation():
    """Without one, a view would answer 500."""
    domain = raised_by("accounts", "billing")
    assert (domain.raised & domain.defined) - raised().translated == CAUGHT


def test_every_bare_status_has_a_row():
    assert sorted(raised().statuses - set(catalogue.DEFAULTS)) == []
    for status in raised().statuses:
        assert from_status(status).status == status


def test_codes_are_written_where_they_are_raised():
    """The tests above would miss a code that is concatenated or taken from a constant."""
    assert raised().unclear - PASSED_ON == set()


def test_the_search_finds_codes():
    assert {"rate_limited", "invalid_color", "out_of_range", "image_too_wide", "key_not_live"} <= raised().codes
    assert {413, 431} <= raised().statuses
    assert {"Busy", "ImageRefused", "NotEnoughCredits", "KeyNotLive"} <= raised().raised & raised().translated


def test_no_code_has_two_rows():
    parts = (catalogue.requests, catalogue.callers, catalogue.images, catalogue.compat, catalogue.batches, catalogue.pages)
    assert sum(len(part.ROWS) for part in parts) == len(catalogue.ROWS)


def test_the_image_core_words_its_errors_itself():
    """The core does not use the catalogue. Errors only it finds have a row without a message, so no text exists twice."""
    outside = raised_in(*(path for path in sources() if "core" not in path.parts)).codes
    without_message = {code for code, row in catalogue.ROWS.items() if not row.message}
    assert without_message == (raised_by_the_core().codes - outside) | WORDED_ELSEWHERE
    assert {catalogue.ROWS[code].status for code in raised_by_the_core().codes} == {400}


def test_what_the_core_and_others_find_has_one_text():
    found = parse_options({"w": "abc"})[1]
    assert found == [make_problem("w", "invalid_integer", value="abc")]


def test_an_unknown_code_and_a_missing_parameter_are_mistakes():
    with pytest.raises(KeyError):
        ApiError("no_such_code")
    with pytest.raises(KeyError):
        ApiError("too_many_images")


def test_a_row_makes_the_answer():
    error = ApiError("not_enough_credits", wanted=500, left=120, retry_after=60)
    assert error.body() == {
        "error": "This batch needs 500 credits, and 120 are left. Send fewer images or purchase more credits.",
        "code": "not_enough_credits",
        "status": 429,
    }
    assert error.headers == {"Retry-After": "60"}
    assert ApiError("server_busy", message="Full.").headers == {"Retry-After": "5"}
    assert str(ApiError("server_busy", message="Full.")) == "Full."


@pytest.mark.parametrize("code", sorted(catalogue.ROWS))
def test_every_text_for_people_is_translated(code):
    row = catalogue.ROWS[code]
    texts = [row.advice, row.label, row.message if isinstance(row.message, Promise) else ""]
    texts += [row.page.title, row.page.help] if row.page else []
    texts += [row.hint.text, catalogue.LINKS[row.hint.link] if row.hint.link else ""] if row.hint else []
    for text in filter(None, texts):
        with translation.override("en"):
            english = str(text)
        with translation.override("ar"):
            arabic = str(text)
        assert arabic != english
        assert _holes(arabic) == _holes(english)


def test_scripts_use_only_existing_codes():
    """`network` is the scripts' own: no answer arrived."""
    named = set()
    for script in (ROOT / "imaging/static/imaging").glob("*.js"):
        named |= set(re.findall(r'code === "(\w+)"|code: "(\w+)"|errorHints\.(\w+)', script.read_text()))
    assert {code for groups in named for code in groups if code} <= {*catalogue.ROWS, "network"}


def _holes(text: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}
