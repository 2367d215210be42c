"""`rmbg remove`: plan, work, sum up; or do so again and again."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rembg_client.cli.arguments import options_of
from rembg_client.cli.journal import Journal
from rembg_client.cli.plan import EXTENSIONS, Job, Selection, extension_for, is_address, make_jobs
from rembg_client.cli.show import Show, make_show
from rembg_client.cli.work import Report, Runner, Summary
from rembg_client.client import Client
from rembg_client.errors import InvalidInput, RembgError

FAILED, STOPPED, INTERRUPTED = 1, 3, 130
# Between two looks at a watched folder. A file is sent once two looks found it alike: it is no longer being written.
WATCH_SECONDS = 1.0


def remove(client: Client, parsed: argparse.Namespace) -> int:
    """Returns the exit code."""
    options = options_of(parsed)
    if parsed.out == "-":
        return _to_standard_output(client, parsed)
    if parsed.out is None:
        raise InvalidInput("Where do the results go? --out DIR")
    as_file = _single_file(parsed)
    if as_file and "format" not in options:
        options["format"] = as_file.suffix[1:].lower()
    out = as_file.parent if as_file else Path(parsed.out)
    selection = Selection(
        out, parsed.pattern, parsed.recursive, as_file.name if as_file else parsed.name, extension_for(options)
    )
    jobs = make_jobs(parsed.inputs, selection)
    journal = Journal(out, options)
    runner = Runner(client, journal, options, parallel=parsed.parallel, force=parsed.force, retry_failed=parsed.retry_failed)
    show = make_show(as_json=parsed.as_json, quiet=parsed.quiet or parsed.dry_run or parsed.watch)
    if parsed.dry_run:
        return _plan_only(runner, jobs, show)
    out.mkdir(parents=True, exist_ok=True)
    if parsed.watch:
        return _watch(runner, parsed.inputs, selection, show)
    return _run(runner, client, jobs, show)


def _to_standard_output(client: Client, parsed: argparse.Namespace) -> int:
    if len(parsed.inputs) != 1 or Path(parsed.inputs[0]).is_dir():
        raise InvalidInput("Standard output takes one result: name one image")
    client.remove_background(parsed.inputs[0], sys.stdout.buffer, **options_of(parsed))
    sys.stdout.flush()
    return 0


def _single_file(parsed: argparse.Namespace) -> Path | None:
    """The file that `--out` names, if it names one and there is one image."""
    path = Path(parsed.out)
    is_single = len(parsed.inputs) == 1 and not Path(parsed.inputs[0]).is_dir()
    return path if is_single and path.suffix.lower() in EXTENSIONS and not path.is_dir() else None


def _plan_only(runner: Runner, jobs: list[Job], show: Show) -> int:
    summary = Summary(total=len(jobs))
    for job in jobs:
        report = runner.known(job) or Report(job, "planned", job.output)
        summary.add(report)
        show.report(report)
    show.plan(summary)
    return 0


def _run(runner: Runner, client: Client, jobs: list[Job], show: Show) -> int:
    if not jobs:
        raise InvalidInput("There is no image")
    show.begin(len(jobs), _remaining(client))
    summary = runner.run(jobs, show.report, Summary(total=len(jobs)))
    show.end(summary)
    if summary.interrupted:
        return INTERRUPTED
    if summary.stopped_by:
        return STOPPED
    return FAILED if summary.failed else 0


def _remaining(client: Client) -> float | None:
    """Credits that are left. They are for show: work goes on without them."""
    if "x-api-key" not in client.headers:
        return None
    try:
        return client.membership_usage(billing_cycle=True).remaining
    except RembgError:
        return None


def _watch(runner: Runner, inputs: list[str], selection: Selection, show: Show) -> int:
    """Until Ctrl-C, which ends it well, or until the server allows no more."""
    if any(is_address(text) or not Path(text).is_dir() for text in inputs):
        raise InvalidInput("--watch takes folders")
    seen: set[Job] = set()
    handled: set[Job] = set()
    try:
        while True:
            jobs = set(make_jobs(inputs, selection))
            ready = sorted((jobs & seen) - handled, key=lambda job: job.source)
            if ready:
                summary = runner.run(ready, show.report, Summary(total=len(ready)))
                show.end(summary)
                if summary.interrupted or summary.stopped_by:
                    return STOPPED if summary.stopped_by else 0
                handled |= set(ready)
            seen = jobs
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return 0
