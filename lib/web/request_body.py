"""The wrapper of the WSGI application, whichever server runs it."""

from collections.abc import Callable, Iterable
from typing import Any

from lib.ops.database import give_back

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# How much of a form that is too large is read, to find out how large its image is.
DRAIN_BYTES = 256 * 1024**2


def served(application: Application) -> Application:
    """Wrap a WSGI application: responses to HEAD have no body, and no response keeps a database connection while being sent.

    The server's own thread closes a file once it has been sent, so Django's `request_finished`, which returns connections
    to the pool, fires late and in a thread that has none.
    """

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            response = application(environ, start_response)
        finally:
            give_back()
        if environ["REQUEST_METHOD"] != "HEAD":
            return response
        if hasattr(response, "close"):
            response.close()
        return []

    return wrapped
