import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from imaging.core.weights.preparation import WeightsError, prepare, wanted
from imaging.core.weights.registry import unaccepted_licence


class Command(BaseCommand):
    help = "Fetches, verifies and optimises the weights of a model. Does nothing if they exist."
    # It runs before there is a database, and needs none.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="a model of rembg's catalogue (default: those of IMAGING_MODELS)")
        parser.add_argument("--again", action="store_true", help="time the engines although nothing has changed")
        parser.add_argument(
            "--lean", action="store_true", help="keep one copy of the weights: remove the fetched file, and share the rest"
        )

    def handle(self, *args: Any, name: str | None, again: bool, lean: bool, **options: Any) -> None:
        # rembg's import has numba compile all of pymatting, 50 s and 530 MB the first time. Nothing here computes.
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
        first, *others = [name] if name else settings.IMAGING_MODELS
        try:
            self._prepare(first, again=again, lean=lean)
        except WeightsError as error:
            raise CommandError(str(error)) from error
        for other in others:
            try:
                self._prepare(other, again=again, lean=lean)
            except WeightsError as error:
                # The server serves with what it has.
                self.stderr.write(f"{other} will not be served: {error}")

    def _prepare(self, name: str, *, again: bool, lean: bool) -> None:
        if problem := unaccepted_licence(name, settings.IMAGING_ACCEPTED_LICENCES):
            raise WeightsError(f"{problem}.")
        extras = wanted(settings.IMAGING_PRECISION, settings.IMAGING_RUNTIME)
        prepare(name, self._say, extras, again=again, lean=lean)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # the next line may be a download away
