"""The product's own WSGI application with a stand-in for the model: see `slow_model`.

`BATCH_LEASE_SECONDS` is the length of the lease on a batch item.
"""

import os
from datetime import timedelta

from config.wsgi import application as product
from imaging.batches import leases
from imaging.executor import runtime
from tests.services.slow_model import SlowEllipse

if "BATCH_LEASE_SECONDS" in os.environ:
    leases.LEASE = timedelta(seconds=float(os.environ["BATCH_LEASE_SECONDS"]))
    leases.RENEW_SECONDS = leases.LEASE.total_seconds() / 3
model = runtime._model = SlowEllipse()


def application(environ, start_response):
    """The product, logging each request."""
    model.note(">")
    return product(environ, start_response)
