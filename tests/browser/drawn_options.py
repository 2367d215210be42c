"""Draws options of a finished image at random: every field of imaging/static/imaging/options.js that changes pixels."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

# What stands for a file: tests replace it by an image.
AN_IMAGE = "an image"


def draw_options(random: Random) -> dict[str, Any]:
    """Options as the editor has them, of which the API takes every one."""
    options: dict[str, Any] = {"format": random.choice(("png", "png", "webp", "jpeg", "bmp"))}
    _draw_size(random, options)
    _maybe(random, options, 0.5, angle=lambda: random.choice((90, 180, -90, round(random.uniform(-45, 45), 1))))
    _maybe(random, options, 0.2, expand=lambda: False)
    _maybe(random, options, 0.25, decontaminate=lambda: False)
    _maybe(random, options, 0.3, scale=lambda: random.randint(10, 100), snap=lambda: random.choice((True, False)))
    _maybe(random, options, 0.3, position=lambda: random.choice(("center", "original", "25% 75%", "0", "90, 10%")))
    _maybe(random, options, 0.3, dpi=lambda: random.randint(1, 2400))
    if options["format"] in ("jpeg", "webp"):
        _maybe(random, options, 0.5, quality=lambda: random.randint(1, 100))
    if random.random() < 0.1:
        return {**options, "mask": True}
    _draw_behind(random, options)
    _draw_shadow(random, options)
    return options


def _draw_size(random: Random, options: dict[str, Any]) -> None:
    fit = random.choice(("inside", "inside", "exact", "pad"))
    sides = {"w": random.randint(60, 420), "h": random.randint(60, 420)}
    if fit == "pad":
        options |= {"fit": fit, **sides, "crop": random.choice((None, True, False))}
        _maybe(random, options, 0.7, padding=lambda: random.choice(("10%", "12px", "5% 20px", "1% 2% 30px 4")))
        return
    options |= {"fit": fit, "crop": random.choice((None, True))}
    for side, length in sides.items():
        _maybe(random, options, 0.5, **{side: lambda length=length: length})
    if options["crop"]:
        _maybe(random, options, 0.7, crop_margin=lambda: random.choice(("10%", "8px", "0 15%", "1px 2% 10px 4%")))


def _draw_behind(random: Random, options: dict[str, Any]) -> None:
    behind = random.choice(("none", "bg_color", "bg_image", "bg_blur"))
    colour = "#" + random.randbytes(3).hex()
    choices: Mapping[str, dict[str, Any]] = {
        "none": {}, "bg_color": {"bg_color": colour}, "bg_image": {"bg_image": AN_IMAGE},
        "bg_blur": {"bg_blur": random.randint(1, 100)},
    }  # fmt: skip
    options |= choices[behind]


def _draw_shadow(random: Random, options: dict[str, Any]) -> None:
    options["shadow"] = random.choice(("none", "drop", "contact"))
    if options["shadow"] == "none":
        return
    _maybe(random, options, 0.4, shadow_opacity=lambda: random.randint(0, 100))
    _maybe(random, options, 0.4, shadow_color=lambda: "#" + random.randbytes(3).hex())
    _maybe(random, options, 0.5, shadow_blur=lambda: random.choice(("0", "6px", "25px", "4%", "12.5%")))
    _maybe(random, options, 0.5, shadow_offset=lambda: random.choice(("10px 5px", "-3% 8%", "0 12px", "-20px, 2%")))


def _maybe(random: Random, options: dict[str, Any], share: float, **values: Callable[[], Any]) -> None:
    """Give `options` each of `values` in a `share` of all cases."""
    drawn: Mapping[str, Any] = {name: draw() for name, draw in values.items()}
    options |= {name: value for name, value in drawn.items() if random.random() < share}
