"""What is wrong with a form that brings images, in the words of the catalogue of errors."""

from imaging.core.problems import Problem
from lib.web.errors import field_problem


def make_problem(field: str, code: str, **parameters: object) -> Problem:
    """The fault `code` of `field`. Next to it stand those that the image core finds and words."""
    return Problem(*field_problem(field, code, **parameters))
