"""Exits 0 when the web process of this container is ready for callers: what the image's HEALTHCHECK runs."""

import http.client
import os
import sys

TIMEOUT_SECONDS = 4


def main() -> int:
    """Ask `/readyz` over loopback, by the first name that the deployment answers to."""
    port = int(os.environ.get("WEB_BIND", ":8000").rpartition(":")[2])
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz", headers={"Host": host} if host else {})
        return 0 if connection.getresponse().status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
