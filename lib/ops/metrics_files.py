"""Where several web processes keep their figures together. prometheus_client is told before it is imported."""

import os
import shutil
from pathlib import Path

# prometheus_client looks at it once, when it is imported.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def share(folder: Path) -> None:
    """Keep the figures of this process and its children in `folder`. To be called before any of them counts."""
    os.environ[FOLDER_VARIABLE] = str(folder)


def clear(folder: Path) -> None:
    """Begin with an empty `folder`, named for the server's process, and remove those of servers that run no more."""
    siblings = folder.parent.glob("*")
    for left in [folder, *(sibling for sibling in siblings if not _is_running(sibling.name))]:
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def forget_worker(pid: int) -> None:
    """A web process has ended: what it counted stays, what it was doing does not."""
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
