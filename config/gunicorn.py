"""gunicorn's configuration: threads in few processes, since the work is in native code that releases the GIL."""

import os
import threading
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

from lib import brand
from lib.ops import metrics_files

bind = settings.WEB_BIND
workers = settings.WEB_PROCESSES
threads = settings.WEB_THREADS
worker_class = "config.web_worker.WebWorker"
# An image may wait for its turn and then take a while; only a worker that is truly stuck is restarted.
timeout = 180
graceful_timeout = 150
# No control socket in the home folder.
control_socket_disable = True
# Requests are logged by lib.ops.access_log, in the product's own format.
accesslog = None
errorlog = "-"
loglevel = "warning"

# Keeps the metrics separate from those of another server that shares the folder.
metrics_folder = settings.VAR_DIR / "metrics" / str(os.getpid())
if workers > 1:
    metrics_files.share(metrics_folder)


def on_starting(server: Any) -> None:
    """Start without the metrics of an earlier server, and not at all with a brand that no page can show."""
    brand.current()
    if workers > 1:
        metrics_files.clear(metrics_folder)


def child_exit(server: Any, worker: Any) -> None:
    """Clear the live gauges of a worker, however it ended."""
    metrics_files.forget_worker(worker.pid)


def post_worker_init(worker: Any) -> None:
    """Start the worker's threads after the fork: none survive it, not even onnxruntime's. Meanwhile /healthz answers."""
    from imaging.core.memory import bound_heaps
    from lib.ops import lifecycle
    from lib.ops.database import bound_statements

    bound_heaps()
    bound_statements()
    lifecycle.start_all()
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()


def worker_exit(server: Any, worker: Any) -> None:
    """Before a worker stops, finish the batch items it is processing, and write what is pending."""
    from lib.ops import lifecycle

    lifecycle.stop_all()


def _warm_up() -> None:
    from imaging.executor import runtime

    runtime.warm_up()
    if settings.DEMO and runtime.is_ready():
        from django.core.management import call_command

        call_command("demo")
