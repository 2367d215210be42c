"""Runs a network with MNN, from the package `mnn`."""

import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imaging.core.matting.engines import Floats
from imaging.core.matting.mnn_manifest import read_manifest
from imaging.core.memory import trim

# MNN's hint of that name: see `imaging.core.weights.mnn_conversion`.
_WINOGRAD_MEMORY_LEVEL = 3


class MnnEngine:
    """MNN. A session serves one image at a time, so there is a pool of them; each has its own copy of the weights."""

    def __init__(self, path: Path, *, threads: int, sessions: int = 1) -> None:
        """Load the folder `path`; `threads` is the number of CPU threads of a session.

        Up to `sessions` are made, each when all others are busy; more images wait. Raises ValueError if a file is
        damaged, RuntimeError if MNN cannot load one.
        """
        self._path, self._threads = path, threads
        self._parts = read_manifest(path)
        self._idle: queue.LifoQueue[_Session] = queue.LifoQueue()
        self._making = threading.Lock()
        self._left = sessions - 1
        self._idle.put(self._made())

    def run(self, batch: Floats, *, give_memory_back: bool = False) -> Floats:
        """See Engine. MNN keeps its buffers, whatever `give_memory_back` asks. Raises RuntimeError if MNN fails."""
        session = self._session()
        try:
            return session.run(batch)
        finally:
            self._idle.put(session)

    def _session(self) -> "_Session":
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            with self._making:
                makes = self._left > 0
                self._left -= makes
        if not makes:
            return self._idle.get()
        try:
            return self._made()
        except BaseException:
            with self._making:
                self._left += 1
            raise

    def _made(self) -> "_Session":
        session = _Session(self._path, self._parts, self._threads)
        trim()
        return session


class _Session:
    """The parts of one network, each with its weights and buffers."""

    def __init__(self, folder: Path, parts: list[dict[str, Any]], threads: int) -> None:
        with _silence():
            import MNN

        self._mnn = MNN
        self._parts = [_Part(MNN, folder, part, threads) for part in parts]

    def run(self, batch: Floats) -> Floats:
        tensors = {name: self._tensor(batch) for name in self._parts[0].inputs}
        for part in self._parts:
            part.run(tensors)
            tensors |= part.outputs
        (output,) = self._parts[-1].outputs.values()
        host = self._tensor(np.empty(output.getShape(), np.float32))
        output.copyToHostTensor(host)
        # The next run of this session overwrites what `host` may refer to.
        response: Floats = np.array(host.getNumpyData(), np.float32)[0, 0]
        return response

    def _tensor(self, values: Floats) -> Any:
        return self._mnn.Tensor(
            values.shape, self._mnn.Halide_Type_Float, np.ascontiguousarray(values), self._mnn.Tensor_DimensionType_Caffe
        )


class _Part:
    """One graph of MNN's. Its interpreter releases the GIL while it runs, which MNN's newer module interface does not."""

    def __init__(self, mnn: Any, folder: Path, part: dict[str, Any], threads: int) -> None:
        file = folder / part["file"]
        self._interpreter = mnn.Interpreter(str(file))
        self._interpreter.setExternalFile(f"{file}.weight")
        self._interpreter.setSessionHint(_WINOGRAD_MEMORY_LEVEL, part["winograd"])
        self._session = self._interpreter.createSession({"numThread": threads, "backend": "CPU", "precision": "normal"})
        if self._session is None:
            raise RuntimeError(f"MNN cannot load {file}")
        self.inputs = {name: self._interpreter.getSessionInput(self._session, name) for name in part["inputs"]}
        self.outputs = {name: self._interpreter.getSessionOutput(self._session, name) for name in part["outputs"]}

    def run(self, tensors: dict[str, Any]) -> None:
        for name, tensor in self.inputs.items():
            tensor.copyFrom(tensors[name])
        if code := self._interpreter.runSession(self._session):
            raise RuntimeError(f"MNN failed with code {code}")


_silencing = threading.Lock()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep MNN, which describes the processor when it is imported, off standard output: commands print results there."""
    with _silencing:
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)
