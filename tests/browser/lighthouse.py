"""Judges pages by Lighthouse: `make lighthouse` prints a table and writes the reports to lighthouse/.

Starts the product as production has it, with compressed and hashed static files and a seeded customer. Fails if the median
of a category is below the floor. It is no test: on a busy machine the score of performance falls.
"""

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.browser.chromium import FLAGS, WHOLE
from tests.browser.visits import seed
from tests.server import PROVIDERS, ROOT, ProductServer

LIGHTHOUSE = ROOT / "frontend/node_modules/.bin/lighthouse"
FOLDER = ROOT / "lighthouse"
CATEGORIES = {
    "performance": "performance", "accessibility": "accessibility", "best-practices": "best practices", "seo": "SEO",
}  # fmt: skip
# Address, and the session of the seed that opens it; empty for an anonymous visitor.
PAGES = {
    "home": ("/", ""),
    "docs": ("/docs", ""),
    "docs-removebg": ("/docs/removebg", ""),
    "pricing": ("/pricing", ""),
    "log-in": ("/accounts/login/", ""),
    "editor": ("/editor", "customer"),
    "dashboard": ("/dashboard", "customer"),
}
# /robots.txt keeps these out of search engines by intent, and Lighthouse takes that for a fault of SEO: this one audit is
# skipped for them, and only for them.
NOT_INDEXED = {"log-in", "editor", "dashboard"}
PRESETS = {"desktop": ["--preset=desktop"], "mobile": []}
SECONDS = 300


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make lighthouse", description=__doc__)
    parser.add_argument("pages", nargs="*", default=[*PAGES], metavar="PAGE", help=f"one of {', '.join(PAGES)}; all of them")
    parser.add_argument("--floor", type=int, default=98, help="the lowest score that passes (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="how often each page is judged; the median counts (%(default)s)")
    parser.add_argument("--preset", choices=PRESETS, action="append", help="one of the two; both")
    parser.add_argument("--slowdown", type=float, help="how many times slower the processor is made; mobile has 4")
    options = parser.parse_args(arguments)
    if unknown := {*options.pages} - {*PAGES}:
        parser.error(f"there is no page {', '.join(sorted(unknown))}")
    FOLDER.mkdir(exist_ok=True)
    below = 0
    print(f"{'page':<24}" + "".join(f"{name:>16}" for name in CATEGORIES.values()))
    for name, scores in judge_all(options.pages, options.preset or [*PRESETS], options.runs, options.slowdown):
        marks = [f"{score}{'' if score >= options.floor else ' !'}" for score in scores.values()]
        print(f"{name:<24}" + "".join(f"{mark:>16}" for mark in marks), flush=True)
        below += sum(score < options.floor for score in scores.values())
    print(f"Median of {options.runs}. {below or 'No'} below {options.floor}. Reports: {FOLDER.relative_to(ROOT)}/")
    return int(below > 0)


def judge_all(
    pages: Sequence[str], presets: Sequence[str], runs: int, slowdown: float | None
) -> Iterator[tuple[str, dict[str, int]]]:
    """Each page in each preset, with the medians of its scores, 0 to 100."""
    flags = [f"--throttling.cpuSlowdownMultiplier={slowdown}"] if slowdown else []
    with tempfile.TemporaryDirectory() as folder:
        server = ProductServer(Path(folder), production())
        server.manage("collectstatic", "--noinput", "--verbosity", "0")
        server.start()
        try:
            facts = seed(server)
            for page in pages:
                for preset in presets:
                    reports = [judge(server, facts, page, preset, run, flags) for run in range(1, runs + 1)]
                    yield f"{page}, {preset}", medians(reports)
        finally:
            server.stop()


def production() -> dict[str, str]:
    """The settings of production that change what a browser gets, without TLS."""
    return {
        "PRODUCTION": "1", "ALLOWED_HOSTS": "127.0.0.1", "SECURE_SSL_REDIRECT": "0", "SECURE_HSTS_SECONDS": "0",
        "SECRET_KEY": secrets.token_urlsafe(64), "API_KEY_PEPPER": secrets.token_urlsafe(64),
        "RATE_LIMIT_ENABLED": "0", **PROVIDERS,
    }  # fmt: skip


def judge(
    server: ProductServer, facts: Mapping[str, Any], page: str, preset: str, run: int, flags: Sequence[str]
) -> dict[str, Any]:
    """One report, with more `flags` of Lighthouse. It stays in FOLDER."""
    path, who = PAGES[page]
    report = FOLDER / f"{page}-{preset}-{run}.json"
    command = [
        str(LIGHTHOUSE), f"{server.url}{path}", "--quiet", "--output=json", f"--output-path={report}",
        f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={' '.join(['--headless', *FLAGS])}",
        *PRESETS[preset], *flags,
    ]  # fmt: skip
    if who:
        command.append(f"--extra-headers={json.dumps({'Cookie': 'sessionid=' + facts['sessions'][who]})}")
    if page in NOT_INDEXED:
        command.append("--skip-audits=is-crawlable")
    if run_lighthouse(command) != 0 and run_lighthouse(command) != 0:
        raise SystemExit(f"{page}: Lighthouse failed twice")
    made: dict[str, Any] = json.loads(report.read_text())
    if error := made.get("runtimeError"):
        raise SystemExit(f"{page}: {error['message']}")
    return made


def run_lighthouse(command: Sequence[str]) -> int:
    """Its exit status. Now and then a trace of Chromium lacks its beginning, and Lighthouse fails with NO_NAVSTART."""
    return subprocess.run(command, env=os.environ | {"CHROME_PATH": str(WHOLE)}, timeout=SECONDS).returncode


def medians(reports: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The median score of each category."""
    scores = {name: [report["categories"][name]["score"] for report in reports] for name in CATEGORIES}
    return {name: round(statistics.median(found) * 100) for name, found in scores.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
