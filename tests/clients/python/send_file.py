"""Sends a small file, then a large one, and prints by how many bytes the second raised the peak of the process's memory.

Usage: send_file.py SERVER SMALL LARGE OUT
"""

import gc
import resource
import sys

from rembg_client import Client


def resident() -> int:
    """Bytes that the process holds."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


server, small, large, out = sys.argv[1:]
with Client("key", base_url=server) as client:
    client.remove_background(small, out)
    gc.collect()
    held = resident()
    client.remove_background(large, out)
# The kernel's own high-water mark, in kilobytes: no peak is missed between two samples.
sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held))
