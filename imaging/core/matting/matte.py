"""The models that turn an image into its alpha matte."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from imaging.core.canvas import in_mode, reduced
from imaging.core.matting.confidence import confidence
from imaging.core.matting.engines import Engine
from imaging.core.matting.network import Network
from imaging.core.memory import is_large

Floats = npt.NDArray[np.float32]

_U2NET = Network()
# First shrink larger images to three times the size by averaging: for 12 megapixels that takes 30 instead of 100 ms, and
# moves the matte by 0.0002 of its range.
REDUCING_GAP = 3.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """A matte (mode L, 255 = subject), what made it, as in `X-Model`, and how sure the model is of it, 0-1."""

    matte: Image.Image
    model: str
    confidence: float


class MatteModel(Protocol):
    """Makes alpha mattes. Safe to use from several threads at once. `name` is the model that makes nearly all of them."""

    name: str

    def predict(self, image: Image.Image) -> Prediction:
        """The matte of `image` (RGB or RGBA, any size). `image` is unchanged.

        It covers the whole image, at the image's size or at the model's own (see imaging.core.matting.refine).
        """
        ...


def warm_up(model: MatteModel) -> None:
    """Run one blank prediction, so that the first caller does not wait for the allocations of a first run."""
    model.predict(Image.new("RGB", (320, 320)))


class NetworkModel:
    """A network of the registry, with exactly the maths of rembg's session for it, but without rembg's imports."""

    def __init__(self, engine: Engine, *, name: str, network: Network = _U2NET) -> None:
        """`engine` runs `network`; `name` is what its predictions say of their maker."""
        self._engine = engine
        self._network = network
        self.name = name

    def predict(self, image: Image.Image) -> Prediction:
        """See MatteModel."""
        batch = normalised(shrunk(image, self._network), self._network)
        response = self._engine.run(batch, give_memory_back=is_large(image.size))
        if self._network.is_logit:
            response = _sigmoid(response)
        return predicted(response, self.name)


class CautiousModel:
    """U2-Net in INT8, and in fp32 for the few images for which INT8 is not reliable.

    Where the network finds no clear subject, its whole response is weak. Stretching it to the full range, as rembg does,
    magnifies INT8's rounding errors equally, so such an image is run again.
    """

    def __init__(
        self,
        fast: Engine,
        make_exact: Callable[[], Engine],
        *,
        name: str,
        exact_name: str,
        trusted_peak: float,
        exact_runs: int = 1,
    ) -> None:
        """`make_exact` creates the fp32 engine when it is first needed: most processes never need it.

        Responses whose highest value is below `trusted_peak` are run again, at most `exact_runs` at once: each needs 270 MB.
        Predictions carry `name`, or `exact_name` for fp32.
        """
        self._fast = fast
        self._make_exact = make_exact
        self._exact: Engine | None = None
        self._making = threading.Lock()
        self._exact_runs = _started_pool(exact_runs)
        self.name = name
        self._exact_name = exact_name
        self._trusted_peak = trusted_peak

    def predict(self, image: Image.Image) -> Prediction:
        """See MatteModel."""
        batch = normalised(shrunk(image))
        response = self._fast.run(batch, give_memory_back=is_large(image.size))
        if response.max() >= self._trusted_peak:
            return predicted(response, self.name)
        response = self._exact_runs.submit(self._run_exactly, batch).result()
        return predicted(response, self._exact_name)

    def _run_exactly(self, batch: Floats) -> Floats:
        return self._exact_engine().run(batch)

    def _exact_engine(self) -> Engine:
        with self._making:
            if self._exact is None:
                self._exact = self._make_exact()
            return self._exact


def _started_pool(threads: int) -> ThreadPoolExecutor:
    """A pool whose threads are already running, at the caller's priority.

    A thread that has lowered its priority would pass it on to threads that it starts, and those to the engine's threads.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="fp32")
    all_run = threading.Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(all_run.wait)
    all_run.wait()
    return pool


def shrunk(image: Image.Image, network: Network = _U2NET) -> Image.Image:
    """`image` without its alpha at the size of the network's input.

    What Pillow's resize() makes with Lanczos and REDUCING_GAP, byte for byte, but the first step uses all idle cores.
    """
    image = in_mode(image, "RGB")
    across, down = (int(side / wanted / REDUCING_GAP) or 1 for side, wanted in zip(image.size, network.size, strict=True))
    # In pixels of what has been reduced, whose last block may be cut off.
    box = (0, 0, image.width / across, image.height / down)
    if across > 1 or down > 1:
        image = reduced(image, (across, down))
    return image.resize(network.size, Image.Resampling.LANCZOS, box)


def normalised(image: Image.Image, network: Network = _U2NET) -> Floats:
    """(1, 3, height, width): divided by the brightest sample, then standardised."""
    samples = np.asarray(image, np.float32)
    samples = samples / max(float(samples.max()), 1e-6)
    # Planes first: a loop over three samples at a time takes four times as long.
    planes = np.ascontiguousarray(samples.transpose(2, 0, 1))
    mean, std = (np.array(values, np.float32)[:, np.newaxis, np.newaxis] for values in (network.mean, network.std))
    standardised: Floats = (planes - mean) / std
    return standardised[np.newaxis]


def _sigmoid(logits: Floats) -> Floats:
    response: Floats = 1 / (1 + np.exp(-logits.clip(-80, 80)))
    return response


def predicted(response: Floats, model: str) -> Prediction:
    """The prediction of `model` from its response, probabilities of subject."""
    return Prediction(as_matte(response), model, confidence(response))


def as_matte(response: Floats) -> Image.Image:
    """The response of the network, stretched to its full range, as mode L."""
    return Image.fromarray((stretched(response) * 255).astype(np.uint8))


def stretched(response: Floats) -> Floats:
    """`response`, from 0 to 1."""
    low, high = float(response.min()), float(response.max())
    if high > low:
        response = (response - low) / (high - low)
    # Otherwise there is nothing to stretch: the response is the probability of subject, the same everywhere.
    clipped: Floats = response.clip(0, 1)
    return clipped


class RembgMatte:
    """Any other model of rembg's catalogue, through rembg's own session."""

    def __init__(self, name: str) -> None:
        """Load (and if necessary download) rembg's model `name`; raises ValueError if rembg has none of that name."""
        # pymatting, one of its imports, has numba compile everything, 50 s on first use, for a refinement that is not used
        # here.
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
        # Imports that cost 1.4 s and 175 MB, which the default model must not pay.
        import rembg

        self.name = name
        self._session: Any = rembg.new_session(name)

    def predict(self, image: Image.Image) -> Prediction:
        """See MatteModel."""
        masks: list[Image.Image] = self._session.predict(image)
        matte = masks[0].convert("L")
        # rembg has stretched the response already; a thumbnail is as good for the confidence.
        small = matte.resize((320, 320), Image.Resampling.BOX)
        return Prediction(matte, self.name, confidence(np.asarray(small, np.float32) / np.float32(255)))
