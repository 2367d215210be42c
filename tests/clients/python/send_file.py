"""Sends a small file, then a large one, and prints by how many bytes the second raised the process's memory at its peak.

Usage: send_file.py SERVER SMALL LARGE OUT
"""

import gc
import re
import sys
from pathlib import Path

from rembg_client import Client


def memory(name: str) -> int:
    """Bytes: VmRSS is what the process holds, VmHWM the most that it held. (getrusage's peak begins with the parent's.)"""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


server, small, large, out = sys.argv[1:]
with Client("key", base_url=server) as client:
    client.remove_background(small, out)
    gc.collect()
    held = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    client.remove_background(large, out)
sys.stdout.write(str(memory("VmHWM") - held))
