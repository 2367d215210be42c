import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from imaging.core.weights.preparation import WeightsError, prepare, wanted


class Command(BaseCommand):
    help = "Fetches, verifies and optimises the weights of a model. Does nothing when they are there."
    # It runs before there is a database, and needs none.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="a model of rembg's catalogue (default: IMAGING_MODEL)")
        parser.add_argument("--again", action="store_true", help="time the engines although nothing has changed")

    def handle(self, *args: Any, name: str | None, again: bool, **options: Any) -> None:
        # rembg's import has numba compile all of pymatting, 50 s and 530 MB the first time. Nothing here computes.
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
        model = name or str(getattr(settings, "IMAGING_MODEL", "u2net"))
        try:
            prepare(model, self._say, wanted(settings.IMAGING_PRECISION, settings.IMAGING_RUNTIME), again=again)
        except WeightsError as error:
            raise CommandError(str(error)) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # the next line may be a download away
