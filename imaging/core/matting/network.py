"""What a network takes and answers. Cheap to import: the model registry has one per row."""

from dataclasses import dataclass

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Network:
    """A network's input (width, height), the statistics that standardise samples of 0-1, and its last layer.

    `is_logit`: it ends without a sigmoid. The defaults are u2net's.
    """

    size: tuple[int, int] = (320, 320)
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    is_logit: bool = False
