"""What is written down about one error."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.functional import Promise

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of the error shows in place of its message: a headline, and a way on."""

    title: Text
    help: Text


@dataclass(frozen=True, slots=True)
class Hint:
    """What our scripts show a customer in the browser. `link` is a name in LINKS, or empty."""

    text: Text
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One error.

    `status` is its HTTP status. `message` is the API's text, a template for `str.format`; it is empty where the code that
    finds the error words it, as the image core does. `advice` says what a developer does about it (the error guide), `label`
    in a few words what came of a call (dashboard), `page` what a page of it shows, `hint` what the editor shows. Without one
    of these the message is shown, or nothing. `headers` are those that every answer with the error has.
    `is_default`: the error for a bare `status`, as the framework and the server raise one.
    """

    status: int
    message: Text = ""
    advice: Text = ""
    label: Text = ""
    page: Page | None = None
    hint: Hint | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_default: bool = False
