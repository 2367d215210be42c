"""Exits 0 when this container's web process is ready for callers. The image's HEALTHCHECK runs it."""

import http.client
import os
import sys

TIMEOUT_SECONDS = 4


def main() -> int:
    """Request `/readyz` over loopback, with the deployment's first allowed host."""
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
