"""What every page must be: free of axe violations, no wider than its window, and in one language."""

import re
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.examples import EXHAUSTIVE

# axe would fetch style sheets again for a single check, and insert them into the page against its policy.
AXE = {"preload": False, "resultTypes": ["violations"]}

# Names and abbreviations that are the same in Arabic, and the names of the test keys.
KEPT = {
    "rembg",
    "API", "UTC", "QR", "Stripe", "Premium", "Web", "shop", "JavaScript", "curl", "Python", "Node", "js", "PHP", "HTTP",
    "CSS", "JSON", "YAML", "CSV", "UUID", "ASCII", "OpenAPI", "IETF", "SHA", "EXIF", "GPS", "ICC", "PNG", "JPEG", "WebP",
    "BMP", "sRGB", "png", "jpeg", "jpg", "webp", "bmp", "net", "Catalogue", "import", "Old", "script", "MCP",
    "remove", "bg", "JPG",
    "AVIF", "GIF", "HEIC", "iPhone", "Safari", "dpi",
    "Ctrl", "Enter", "Esc", "Shift",
    "Amazon", "Etsy", "Google", "Merchant", "Center", "Marketplace", "Shopify", "Walmart", "eBay", "px",
    "Control", "Escape",
}  # fmt: skip
# What a program reads or writes, in texts that cannot mark it as code.
CODE = {
    "Api", "base", "mask", "outputs",
    "GET", "POST", "rmbg", "api", "membership", "usage", "Idempotency", "Key", "Retry", "After", "xx", "multipart", "form",
    "data", "image", "application", "json", "yaml", "format", "true", "false", "yes", "no", "on", "off", "details",
    "http", "https", "url",
    "listBillingCycles", "periodStartUnix", "queue", "decode", "inference", "compose", "encode", "total",
    "batches", "callback", "error", "index", "models", "center", "original",
}  # fmt: skip


# A table's rows are alike, and judging the contrast of hundreds takes seconds.
WHOLE = {"include": [["html"]], "exclude": [] if EXHAUSTIVE else [["tbody tr:nth-child(n+9)"]]}
# A transition between two colours ends at once, and so does its effect; endless ones are left alone.
FINISH = """() => {
    for (let round = 0; round < 3; round++) {
        for (const one of document.getAnimations())
            if (one.effect.getComputedTiming().endTime !== Infinity) one.finish();
    }
}"""


def settle(page: Page) -> None:
    """Skip to the end of every transition: otherwise colours in mid-transition would be judged."""
    page.evaluate(FINISH)


def violations(page: Page, **options: Any) -> list[str]:
    """axe's findings, one line each; `options` are axe's."""
    found = Axe().run(page, context=WHOLE, options=AXE | options).response["violations"]
    return [f"{one['id']} at {', '.join(str(node['target'][0]) for node in one['nodes'][:3])}" for one in found]


def is_too_wide(page: Page) -> bool:
    """Whether something is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def check_page(page: Page) -> None:
    """Accessible, and no wider than its window."""
    found = violations(page)
    assert not found, found
    assert not is_too_wide(page)


def english(page: Page) -> set[str]:
    """The words of a page's text that should not be Latin: excludes code, addresses, names and intended English."""
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
