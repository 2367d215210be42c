"""What a person, or a program, sees of the work."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TextIO

from rembg_client.cli.work import Report, Summary


class Show:
    """Says what failed, and sums up: for logs, and where `rich` is not installed."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._started = time.monotonic()

    def begin(self, total: int, remaining: float | None) -> None:
        """Before the first image: how many there are, and the credits that are left, if that is known."""

    def report(self, report: Report) -> None:
        """One image has ended."""
        if report.status == "failed":
            self.say(f"{report.job.source}: {report.error}")
        elif report.status == "planned":
            self.say(f"{report.job.source} → {report.job.output}")

    def end(self, summary: Summary) -> None:
        """All have ended."""
        seconds = max(0.001, time.monotonic() - self._started)
        parts = [f"{summary.done} done", f"{summary.current} current already", f"{len(summary.failed)} failed"]
        if summary.left:
            parts.append(f"{summary.left} left")
        rate = f", {summary.done / seconds:.1f} images a second" if summary.done else ""
        self.say(f"{', '.join(parts)} of {summary.total}; {_credits(summary.credits)} charged{rate}")
        for error, count in _reasons(summary).items():
            self.say(f"  {count} × {error}")
        if summary.stopped_by:
            self.say(f"Stopped: {summary.stopped_by.message}")
        if summary.left:
            self.say("The same command goes on where this one stopped.")

    def plan(self, summary: Summary) -> None:
        """Nothing was sent: what would be."""
        known = f"{summary.current} current already, {len(summary.failed)} refused before"
        self.say(f"{summary.left} of {summary.total} to send, for up to {_credits(summary.left)}; {known}")

    def say(self, text: str) -> None:
        """A line for people."""
        print(text, file=self._out, flush=True)


class BarShow(Show):
    """The same with a progress bar: images, rate, credits that are left. Needs `rich`."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__(out)
        self._bar = Progress(
            BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
            TextColumn("{task.fields[credits]}"), console=Console(file=out),
        )  # fmt: skip
        self._done = 0

    def begin(self, total: int, remaining: float | None) -> None:
        self._remaining = remaining
        self._task = self._bar.add_task("", total=total, rate="", credits=self._credits_left())
        self._bar.start()

    def report(self, report: Report) -> None:
        if report.cutout and self._remaining is not None:
            self._remaining = round(self._remaining - (report.cutout.credits_charged or 0), 2)
        self._done += report.status == "done"
        rate = f"{self._done / max(0.001, time.monotonic() - self._started):.1f}/s"
        self._bar.update(self._task, advance=1, rate=rate, credits=self._credits_left())
        super().report(report)

    def end(self, summary: Summary) -> None:
        self._bar.stop()
        super().end(summary)

    def say(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _credits_left(self) -> str:
        return "" if self._remaining is None else f"{_credits(self._remaining)} left"


class JsonShow(Show):
    """A line of JSON for each image, and one for the sum."""

    def report(self, report: Report) -> None:
        cutout = report.cutout
        facts = {
            "source": report.job.source, "status": report.status, "output": str(report.output or report.job.output),
            "code": report.code or None, "error": report.error or None, "request_id": report.request_id,
            "width": cutout and cutout.width, "height": cutout and cutout.height,
            "credits_charged": cutout and cutout.credits_charged,
        }  # fmt: skip
        self.say(json.dumps(facts))

    def plan(self, summary: Summary) -> None:
        self.end(summary)

    def end(self, summary: Summary) -> None:
        stopped = summary.stopped_by
        facts = {
            "total": summary.total, "done": summary.done, "current": summary.current, "failed": len(summary.failed),
            "left": summary.left, "credits_charged": summary.credits, "interrupted": summary.interrupted,
            "stopped_by": stopped and {"code": stopped.code, "error": stopped.message},
        }  # fmt: skip
        self.say(json.dumps({"summary": facts}))


def make_show(*, as_json: bool, quiet: bool = False) -> Show:
    """JSON goes to standard output; what people read to standard error, with a bar where that is a terminal."""
    if as_json:
        return JsonShow(sys.stdout)
    if sys.stderr.isatty() and not quiet:
        try:
            return BarShow(sys.stderr)
        except ImportError:
            pass
    return Show(sys.stderr)


def print_facts(facts: Any, *, as_json: bool) -> None:
    """An answer as JSON, or as lines of names and values."""
    if as_json:
        print(json.dumps(facts))
        return
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        print(f"{name:{width}}  {value}")


def _credits(count: float) -> str:
    return f"{count} credit" + ("" if count == 1 else "s")


def _reasons(summary: Summary) -> dict[str, int]:
    counts: dict[str, int] = {}
    for report in summary.failed:
        counts[report.error] = counts.get(report.error, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))
