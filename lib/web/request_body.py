"""What the application is wrapped in, whichever server runs it."""

from collections.abc import Callable, Iterable
from typing import Any

from lib.ops.database import give_back

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# What is read of a form that is too large, to find out how large its image is.
DRAIN_BYTES = 256 * 1024**2


def served(application: Application) -> Application:
    """Wrap a WSGI application: no answer to HEAD has a body, and no answer that is being sent keeps a database connection.

    A file is closed by the server's own thread once it has been sent, so that Django's `request_finished`, which gives
    connections back, comes late and in a thread that has none.
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
