"""The fields of one error."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.functional import Promise

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Page:
    """What the error's page shows in place of its message: a headline, and a link to continue."""

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
    raises the error words it, as the image core does. `advice` tells a developer what to do (error guide), `label` gives the
    outcome of a call in a few words (dashboard), `page` is what its page shows, `hint` what the editor shows. Without one of
    these the message is shown, or nothing. `headers` are on every response with the error. `is_default`: the error for a
    bare `status`, as raised by the framework and the server.
    """

    status: int
    message: Text = ""
    advice: Text = ""
    label: Text = ""
    page: Page | None = None
    hint: Hint | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_default: bool = False
