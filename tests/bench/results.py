"""The figures of a benchmark as JSON, next to its table: var/bench/results/NAME.json."""

import json
import time
from pathlib import Path
from typing import Any

from imaging.core.cpu import count_cores, processor
from imaging.core.weights.engines import installed_versions
from tests.server import ROOT

FOLDER = ROOT / "var" / "bench" / "results"


class Results:
    """Collects rows of figures, and writes all of them after each one: a benchmark may be cut off."""

    def __init__(self, name: str, **facts: Any) -> None:
        """`facts` hold for the whole run, such as the model."""
        self._path = FOLDER / f"{name}.json"
        self._facts = {
            "benchmark": name,
            "began_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "processor": processor(),
            "cores": count_cores(),
            "load_at_start": Path("/proc/loadavg").read_text().split()[0],
            "versions": installed_versions(),
            **facts,
        }
        self._rows: list[dict[str, Any]] = []

    def add(self, case: str, **figures: Any) -> None:
        """Add one row."""
        self._rows.append({"case": case, **figures})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({**self._facts, "results": self._rows}, indent=1) + "\n")
