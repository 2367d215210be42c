"""From a picture to its alpha matte: the models."""

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image

from imaging.core.memory import is_large, trim

Floats = npt.NDArray[np.float32]

# Shrink by averaging to three times the size first, where there is more: of 12 megapixels that takes 30 instead of 100
# ms, and moves the matte by 0.0002 of its range.
_REDUCING_GAP = 3.0
# The training input of U2-Net and the statistics of ImageNet, as in rembg's u2net session.
_INPUT_SIZE = (320, 320)
_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
_STD = np.array((0.229, 0.224, 0.225), np.float32)


class MatteModel(Protocol):
    """Makes alpha mattes. Safe to use from several threads at once."""

    name: str

    def predict(self, image: Image.Image) -> Image.Image:
        """The matte of `image` (RGB or RGBA, any size): mode L, 255 = subject. `image` is unchanged.

        It covers the whole picture, at the picture's size or at the model's own (see imaging.core.refine).
        """
        ...


def warm_up(model: MatteModel) -> None:
    """Run one blank prediction, so that the first caller does not wait for the allocations of a first run."""
    model.predict(Image.new("RGB", _INPUT_SIZE))


class OnnxU2Net:
    """U2-Net in onnxruntime on the CPU, with the very maths of rembg's session, but none of rembg's imports.

    Make it in the process that uses it: a session does not survive a fork.
    """

    def __init__(self, path: Path, *, name: str, threads: int) -> None:
        """Load the weights at `path`; `threads` is the number of CPU threads of one inference."""
        self.name = name
        self._session = ort.InferenceSession(str(path), _session_options(threads), providers=["CPUExecutionProvider"])
        self._input_name = self._session.get_inputs()[0].name
        # The other six outputs are the side outputs of the training.
        self._output_name = self._session.get_outputs()[0].name
        trim()

    def predict(self, image: Image.Image) -> Image.Image:
        """See MatteModel; 320 x 320."""
        response = self._run(_normalised(_shrunk(image)), give_memory_back=is_large(image.size))
        return _matte(response)

    def _run(self, batch: Floats, *, give_memory_back: bool) -> Floats:
        """The network's answer (320, 320) to one picture (1, 3, 320, 320).

        Giving back the memory of a run, 230 MB, takes 0.04 s of its 0.4 s.
        """
        options = ort.RunOptions()
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


def _shrunk(image: Image.Image) -> Image.Image:
    """`image` without its alpha at the size of the network's input."""
    if image.mode == "RGB":
        return _resized(image)
    # The same as converting to RGB first, band by band: that would be another copy of the whole picture.
    bands = [_resized(image.getchannel(band)) for band in "RGB"]
    return Image.merge("RGB", bands)


def _resized(image: Image.Image) -> Image.Image:
    return image.resize(_INPUT_SIZE, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)


def _normalised(image: Image.Image) -> Floats:
    """(1, 3, 320, 320): divided by the brightest sample, then standardised."""
    samples = np.asarray(image, np.float32)
    samples = samples / max(float(samples.max()), 1e-6)
    standardised: Floats = (samples - _MEAN) / _STD
    return np.ascontiguousarray(standardised.transpose(2, 0, 1)[np.newaxis])


def _matte(response: Floats) -> Image.Image:
    """The response stretched to its full range, as mode L."""
    low, high = float(response.min()), float(response.max())
    if high > low:
        response = (response - low) / (high - low)
    # Else there is nothing to stretch, and the response itself is the probability of subject, the same everywhere.
    return Image.fromarray((response.clip(0, 1) * 255).astype(np.uint8))


class RembgMatte:
    """Any other model of rembg's catalogue, through rembg's own session."""

    def __init__(self, name: str) -> None:
        """Load (and if need be download) the model that rembg calls `name`; raises ValueError if it knows none."""
        # Of its imports pymatting has numba compile everything, 50 s on first use, for a refinement that is not used here.
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
        # Costs 1.4 s and 175 MB of imports, which the default model must not pay.
        import rembg

        self.name = name
        self._session: Any = rembg.new_session(name)

    def predict(self, image: Image.Image) -> Image.Image:
        """See MatteModel."""
        masks: list[Image.Image] = self._session.predict(image)
        return masks[0].convert("L")
