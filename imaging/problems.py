"""Problems of a form with images, worded by the error catalogue."""

from imaging.core.problems import Problem
from lib.web.errors import field_problem


class FormRefused(Exception):
    """The form cannot be accepted. Carries one or more problems of its fields."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def make_problem(field: str, code: str, **parameters: object) -> Problem:
    """The problem `code` of `field`. The image core finds and words its own problems separately."""
    return Problem(*field_problem(field, code, **parameters))
