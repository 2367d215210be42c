"""Which browser the tests drive, and the two windows they use."""

from pathlib import Path

from playwright.sync_api import ViewportSize

# Debian's two builds of the same browser. The windowless one, where it is installed, needs two fifths less CPU for a test
# that opens many pages.
SHELL, WHOLE = Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")
CHROMIUM = SHELL if SHELL.exists() else WHOLE
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
