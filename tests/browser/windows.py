"""The windows in which a test runs."""

import pytest

from tests.browser.chromium import DESKTOP, PHONE
from tests.examples import EXHAUSTIVE

BOTH = [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")]
# For what a page does rather than how it looks: desktop alone, unless everything is requested.
in_one_window = pytest.mark.parametrize("page", BOTH if EXHAUSTIVE else BOTH[:1], indirect=True)
