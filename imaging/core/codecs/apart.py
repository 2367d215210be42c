"""Decodes in a child process, which can be killed at any moment and whose memory is limited against hostile files.

The file and the pixels are passed in anonymous memory that both processes map: nothing is copied through a pipe, and nothing
is left behind if either process is killed. See `child` for the other side.
"""

import json
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from PIL import Image

from imaging.core.canvas import PIXEL_BYTES, mapped_image
from imaging.core.codecs.walk import Data, Walk
from imaging.core.problems import INVALID_IMAGE, ImageRefused, Problem
from imaging.core.watch import CHECK_SECONDS, Watch

_ROOT = Path(__file__).parents[3]
# Nothing else from this process's environment, which holds its secrets. Threads would take address space.
_ENVIRONMENT = {"PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
_ENVIRONMENT |= {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
# The limit when there is no deadline; no honest file comes near it.
_LONGEST_SECONDS = 600.0


class DecoderCrashed(Exception):
    """Our own code failed in the child process; the message is its traceback."""


def decode_apart(data: Data, walk: Walk, watch: Watch) -> tuple[Image.Image, bytes | None]:
    """The result of `imaging.core.codecs.decode.decode_here`, computed in a child process.

    Raises the same (ImageRefused, MemoryError, CallerGone) and DecoderCrashed. When `watch` raises, the child is killed.
    """
    sent, made = _nameless(), _nameless()
    try:
        _write(sent, data)
        facts = _run_child(sent, made, watch)
        if facts["outcome"] == "decoded":
            return _mapped(made, walk, facts)
        raise _failure(facts)
    finally:
        os.close(sent)
        os.close(made)


def _run_child(sent: int, made: int, watch: Watch) -> dict[str, Any]:
    watch.check()
    seconds = _LONGEST_SECONDS if watch.remaining is None else watch.remaining
    command = [sys.executable, "-m", "imaging.core.codecs.child", str(sent), str(made), str(os.getpid()), f"{seconds:.3f}"]
    child = subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=_ROOT, env=_ENVIRONMENT, pass_fds=(sent, made),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        # Ctrl-C in a terminal must reach only the parent, which may finish running work first.
        start_new_session=True,
    )  # fmt: skip
    try:
        answer = _answer(child, watch)
    finally:
        child.kill()
        child.wait()
        cast(Any, child.stdout).close()
    watch.check()
    if answer:
        facts: dict[str, Any] = json.loads(answer)
        return facts
    if child.returncode == -signal.SIGKILL:
        # Killed by the system, which needed the memory.
        raise MemoryError
    if child.returncode < 0:
        # The file made a decoder crash.
        raise ImageRefused(INVALID_IMAGE)
    raise DecoderCrashed(f"the decoding process ended with status {child.returncode}")


def _answer(child: subprocess.Popen[bytes], watch: Watch) -> bytes:
    """The child's whole output, read until it ends. Raises what `watch` does."""
    pipe = cast(Any, child.stdout).fileno()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    blocks = []
    while True:
        remaining = CHECK_SECONDS if watch.remaining is None else min(CHECK_SECONDS, watch.remaining)
        if poll.poll(remaining * 1000 + 1):
            blocks.append(os.read(pipe, 65536))
            if not blocks[-1]:
                return b"".join(blocks)
        watch.check()


def _failure(facts: dict[str, Any]) -> Exception:
    if facts["outcome"] == "refused":
        return ImageRefused(Problem(**facts["problem"]))
    return MemoryError() if facts["outcome"] == "memory" else DecoderCrashed(facts["trace"])


def _nameless() -> int:
    """An anonymous file, in memory where the system supports it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("image")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write(descriptor: int, data: Data) -> None:
    with memoryview(data) as content:
        written = 0
        while written < len(content):
            written += os.write(descriptor, content[written:])


def _mapped(made: int, walk: Walk, facts: dict[str, Any]) -> tuple[Image.Image, bytes | None]:
    mode, profile_bytes = facts["mode"], facts["profile_bytes"]
    mapped = mmap.mmap(made, 0)
    pixels = mapped_image(mapped, mode, (walk.width, walk.height))
    pixel_bytes = walk.width * walk.height * PIXEL_BYTES
    return pixels, mapped[pixel_bytes : pixel_bytes + profile_bytes] if profile_bytes else None
