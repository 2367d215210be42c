"""Runs management commands of a deployment, one after another, in one process that has read Django once.

Started by `ProductServer.manage`. A line in, `["command", "argument", …]`; a line out, `{"printed", "error"}`; both JSON.
"""

import io
import json
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

from django.conf import settings
from django.core.cache import cache
from django.core.management import execute_from_command_line


def run(arguments: list[str]) -> dict[str, str]:
    """The command's output, and its error message (empty if it succeeded)."""
    printed, said = io.StringIO(), io.StringIO()
    failed = False
    if not settings.REDIS_URL:
        cache.clear()  # a separate process would not have what an earlier command left in memory
    with redirect_stdout(printed), redirect_stderr(said):
        try:
            execute_from_command_line(["manage.py", *arguments])
        except SystemExit as end:
            failed = bool(end.code)
        except Exception:
            failed = True
            traceback.print_exc()
    return {"printed": printed.getvalue(), "error": (said.getvalue() or "failed") if failed else ""}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)  # noqa: T201 - the answer
