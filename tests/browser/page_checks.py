"""What every page has to be: without a fault that axe finds, fitting its window, and in one language."""

import re
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.conftest import EXHAUSTIVE

# axe would fetch style sheets again to look for one thing, and put them into the page against its policy.
AXE = {"preload": False, "resultTypes": ["violations"]}

# Names and abbreviations that are the same in Arabic, and the names of the tests' keys.
KEPT = {
    "API", "UTC", "QR", "Stripe", "Premium", "Web", "shop", "JavaScript", "curl", "Python", "Node", "js", "PHP", "HTTP",
    "CSS", "JSON", "YAML", "CSV", "UUID", "ASCII", "OpenAPI", "IETF", "SHA", "EXIF", "GPS", "ICC", "PNG", "JPEG", "WebP",
    "BMP", "sRGB", "png", "jpeg", "jpg", "webp", "bmp", "net", "Catalogue", "import", "Old", "script",
}  # fmt: skip
# What a program reads or writes, in texts that cannot set it as code.
CODE = {
    "GET", "POST", "rmbg", "api", "membership", "usage", "Idempotency", "Key", "Retry", "After", "xx", "multipart", "form",
    "data", "image", "application", "json", "yaml", "format", "true", "false", "yes", "no", "on", "off", "details",
    "http", "https", "url",
    "listBillingCycles", "periodStartUnix", "queue", "decode", "inference", "compose", "encode", "total",
    "batches", "callback", "error", "index",
}  # fmt: skip


# The rows of a table are alike, and judging the contrast of hundreds takes seconds.
WHOLE = {"include": [["html"]], "exclude": [] if EXHAUSTIVE else [["tbody tr:nth-child(n+9)"]]}
# A transition between two colours ends at once, and so does what it leads to; what goes on for ever is left alone.
FINISH = """() => {
    for (let round = 0; round < 3; round++) {
        for (const one of document.getAnimations())
            if (one.effect.getComputedTiming().endTime !== Infinity) one.finish();
    }
}"""


def settle(page: Page) -> None:
    """Go to the end of every transition: colours on their way to others would be judged as they are for a moment."""
    page.evaluate(FINISH)


def violations(page: Page, **options: Any) -> list[str]:
    """What axe finds, one line each; `options` are its own."""
    found = Axe().run(page, context=WHOLE, options=AXE | options).response["violations"]
    return [f"{one['id']} at {', '.join(str(node['target'][0]) for node in one['nodes'][:3])}" for one in found]


def is_too_wide(page: Page) -> bool:
    """Whether something is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def check_page(page: Page) -> None:
    """Accessible, and as wide as its window."""
    assert not violations(page)
    assert not is_too_wide(page)


def english(page: Page) -> set[str]:
    """The words of a page's text that should not be Latin: not code, addresses, names and what is English on purpose."""
    text = page.evaluate(
        """() => {
            const copy = document.querySelector("body").cloneNode(true);
            copy.querySelectorAll("script, noscript, style, code, bdi, [lang=en], option").forEach(one => one.remove());
            const texts = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT), words = [];
            while (texts.nextNode()) words.push(texts.currentNode.data);
            return words.join(" ");
        }"""
    )
    return set(re.findall(r"[A-Za-z]{2,}", str(text))) - KEPT - (CODE if "/docs" in page.url else set())
