"""Runs a network: onnxruntime or OpenVINO on the CPU, one image in, its response out; onnxruntime on a GPU, many images.

MNN is in `imaging.core.matting.mnn`.

Create an engine in the process that uses it: neither library's threads survive a fork.
"""

import queue
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from imaging.core.memory import trim

Floats = npt.NDArray[np.float32]


class Engine(Protocol):
    """Runs one network. Safe to use from several threads at once."""

    def run(self, batch: Floats, *, give_memory_back: bool = False) -> Floats:
        """The network's response (height, width) to one image (1, 3, height, width).

        `give_memory_back` asks the engine to free the run's memory, if it can.
        """
        ...


class OnnxRuntimeEngine:
    """onnxruntime."""

    def __init__(self, path: Path, *, threads: int, keeps_memory: bool = True) -> None:
        """Load the ONNX file `path`; `threads` is the number of CPU threads of one inference.

        `keeps_memory` keeps a run's memory for the next one. Without it a run of u2net takes 0.78 instead of 0.67 s, but the
        process uses 270 MB instead of 570 between two runs, and 70 MB less in a run.
        """
        options = _session_options(threads)
        options.enable_cpu_mem_arena = keeps_memory
        self._keeps_memory = keeps_memory
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input_name = self._session.get_inputs()[0].name
        # u2net's other six outputs are side outputs used in training.
        self._output_name = self._session.get_outputs()[0].name
        trim()

    def run(self, batch: Floats, *, give_memory_back: bool = False) -> Floats:
        """See Engine. Giving back the memory of a run, 230 MB, takes 0.04 s of its 0.4 s."""
        options = ort.RunOptions()
        give_memory_back &= self._keeps_memory
        if give_memory_back:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        (output,) = self._session.run([self._output_name], {self._input_name: batch}, options)
        if give_memory_back:
            trim()
        response: Floats = output[0, 0]
        return response


def _session_options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The pattern makes each run allocate its peak in one piece: 200-300 MB more, for no measurable gain in speed.
    options.enable_mem_pattern = False
    return options


PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}


class DeviceMissing(Exception):
    """onnxruntime cannot use the device that was asked for."""


class BatchSession:
    """onnxruntime with any number of images in one run: see `imaging.core.matting.batching`."""

    def __init__(self, path: Path, *, device: str, threads: int) -> None:
        """Load the ONNX file `path` on `device`, "cuda" or "cpu". Raises DeviceMissing."""
        provider = PROVIDERS[device][0]
        # CUDA's libraries may be installed as Python packages, where the system does not look.
        if device == "cuda" and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        if provider not in ort.get_available_providers():
            raise DeviceMissing(f"onnxruntime has no {provider}")
        self._session = ort.InferenceSession(
            _with_free_batch_size(path), _session_options(threads), providers=PROVIDERS[device]
        )
        # Without CUDA's libraries onnxruntime falls back to the CPU, and only logs that.
        if f"{device.upper()}ExecutionProvider" not in self._session.get_providers():
            raise DeviceMissing(f"onnxruntime could not use {device}; its log says why")
        self._input_name = self._session.get_inputs()[0].name
        self._output_name = self._session.get_outputs()[0].name
        trim()

    def run_batch(self, images: Floats) -> Floats:
        """The responses (n, height, width) to `images` (n, 3, height, width)."""
        (output,) = self._session.run([self._output_name], {self._input_name: images})
        responses: Floats = output[:, 0]
        return responses


def _with_free_batch_size(path: Path) -> bytes:
    """The ONNX file `path` with any batch size in place of one. u2net computes every size that depends on it."""
    # 0.3 s that a server without a GPU must not pay.
    import onnx

    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        dimension = value.type.tensor_type.shape.dim[0]
        dimension.Clear()
        dimension.dim_param = "pictures"
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


class OpenVinoEngine:
    """OpenVINO, from the package `openvino`. At least twice as fast on a processor with INT8 instructions."""

    def __init__(self, path: Path, *, threads: int) -> None:
        """Load the ONNX file `path`; `threads` is the number of CPU threads, shared by concurrent images."""
        # Optional; takes 0.3 s to import, which a server without it must not pay.
        import openvino

        # With bfloat16 for the unquantised part a run would take 172 instead of 199 ms, but fail the quality gate.
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        self._compiled = openvino.Core().compile_model(path, "CPU", settings)
        # A request holds one image's memory and serves one thread at a time: as many are created as are ever in use at once.
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        trim()

    def run(self, batch: Floats, *, give_memory_back: bool = False) -> Floats:
        """See Engine. OpenVINO keeps its buffers, 100 MB, whatever `give_memory_back` asks."""
        request = self._request()
        try:
            request.infer({0: batch})
            # The next run of this request overwrites its output.
            response: Floats = request.get_output_tensor(0).data[0, 0].copy()
        finally:
            self._idle.put(request)
        return response

    def _request(self) -> Any:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._compiled.create_infer_request()
