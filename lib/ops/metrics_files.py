"""Where several web processes share their metrics. prometheus_client must know the folder before it is imported."""

import os
import shutil
from pathlib import Path

# prometheus_client reads it once, at import.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def share(folder: Path) -> None:
    """Keep the metrics of this process and its children in `folder`. Call it before any of them counts."""
    os.environ[FOLDER_VARIABLE] = str(folder)


def clear(folder: Path) -> None:
    """Start with an empty `folder`, named for the server's process, and remove those of servers that no longer run."""
    siblings = folder.parent.glob("*")
    for left in [folder, *(sibling for sibling in siblings if not _is_running(sibling.name))]:
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def forget_worker(pid: int) -> None:
    """A web process has ended: keep its counters, drop its live gauges."""
    if FOLDER_VARIABLE in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True
