"""Serve until interrupted."""

import argparse
import signal
import sys
import threading

from tests.fakes.stripe_server import StripeFake


def main() -> None:
    """Parse the options, start, wait for SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.stripe_server", description=__doc__)
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--webhook", help="where events are posted")
    parser.add_argument("--secret", default="whsec_test", help="what they are signed with")
    parser.add_argument(
        "--clock", type=int, help="Unix time at which the clock stands still; by default it shows the present time and runs"
    )
    options = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with StripeFake(options.webhook, options.secret, options.clock, port=options.port) as fake:
        sys.stdout.write(f"A fake Stripe on {fake.url}, its controls under {fake.url}/_control/\n")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
