"""The processor: cores, INT8 support, identity."""

import hashlib
import os
import platform
from pathlib import Path

# Multiply bytes and add up the products in one instruction. x86: AVX-512 VNNI, AVX-VNNI, AMX; 64-bit Arm: dot product and
# int8 matrix multiplication. Without one of them INT8 is hardly faster than fp32, or slower.
_INT8_FEATURES = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})

_CPUINFO = Path("/proc/cpuinfo")


def count_cores() -> int:
    """The number of cores that this process may use, if the system reports it; else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def int8_profits(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether this processor computes INT8 a good deal faster than fp32. False if unknown."""
    return not _INT8_FEATURES.isdisjoint(_features(cpuinfo))


def _features(cpuinfo: Path) -> list[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return []
    # One line per core: "flags" on x86, "Features" on Arm.
    features = (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features")))
    return next(features, [])


def processor(cpuinfo: Path = _CPUINFO) -> str:
    """The processor's model and its features, as one short text that differs wherever an engine's speed may."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.lower().startswith(("model name", "cpu part")))
    features = hashlib.sha256(" ".join(sorted(_features(cpuinfo))).encode()).hexdigest()[:8]
    return f"{next(names, platform.machine())} {features}"
