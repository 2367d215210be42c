"""How much memory sending a large file and taking a large result needs, in a separate process."""

import os
import subprocess
import sys
from pathlib import Path

from tests.clients.python.conftest import SOURCES
from tests.clients.python.fake_server import fake_server

MEGABYTE = 1024 * 1024
FILE_BYTES = 45 * MEGABYTE
MAX_EXTRA_BYTES = 30 * MEGABYTE


def swallow(handler) -> None:
    """Read in pieces, and answer with as much."""
    size = left = int(handler.headers["content-length"])
    while left:
        left -= len(handler.rfile.read(min(left, 65536)))
    handler.respond(200, {"content-type": "image/png"}, b"", size)
    for start in range(0, size, MEGABYTE):
        handler.wfile.write(bytes(min(MEGABYTE, size - start)))


swallow.is_early = True  # type: ignore[attr-defined]


def test_a_file_of_45_mb_needs_less_than_30_mb_of_memory(tmp_path: Path, record_property):
    (tmp_path / "small.jpg").write_bytes(bytes(1000))
    (tmp_path / "large.jpg").write_bytes(bytes(FILE_BYTES))
    program = Path(__file__).with_name("send_file.py")
    with fake_server(swallow) as server:
        command = [sys.executable, str(program), server.url, "small.jpg", "large.jpg", "out.png"]
        environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.png").stat().st_size > FILE_BYTES, "the form, which is a little larger"
    record_property("extra_bytes", int(done.stdout))
    assert int(done.stdout) < MAX_EXTRA_BYTES
