"""Photographs every page: `make screenshots` writes them to screenshots/.

Starts the product with its own seeded database, and visits the pages of the browser tests at two sizes, in two languages,
light and dark.
"""

import itertools
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from tests.browser.chromium import CHROMIUM, DESKTOP, FLAGS, PHONE
from tests.browser.visits import VISITS, choose_language, seed, visitor
from tests.server import PROVIDERS, ROOT, ProductServer

FOLDER = ROOT / "screenshots"
SETTLE_MS = 250
SIZES = {"desktop": DESKTOP, "phone": PHONE}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> None:
    chosen = [visit for visit in VISITS if not sys.argv[1:] or visit.name in sys.argv[1:]]
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = ProductServer(Path(folder), PROVIDERS).start()
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        try:
            facts = seed(server)
            for who, language in itertools.product(sorted({visit.who for visit in chosen}), ("en", "ar")):
                with visitor(browser, server, who, facts, locale=language) as page:
                    choose_language(page, language)
                    for visit in (visit for visit in chosen if visit.who == who):
                        page.goto(visit.path.format(**facts))
                        if visit.ready:
                            page.locator(visit.ready).wait_for()
                        for (size, viewport), scheme in itertools.product(SIZES.items(), SCHEMES):
                            page.set_viewport_size(viewport)
                            page.emulate_media(color_scheme=scheme)
                            page.wait_for_timeout(SETTLE_MS)
                            page.screenshot(path=FOLDER / f"{visit.name}-{language}-{size}-{scheme}.png", full_page=True)
        finally:
            server.stop()
    print(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()
