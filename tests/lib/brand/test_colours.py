"""Accents of any colour: readable on light pages and on dark ones."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.brand.colours import DARK_SURFACES, LIGHT_SURFACES, Accents, BadColour, accents, contrast
from tests.examples import examples
from tests.server import ROOT

AA = 4.5
TOKENS = dict(
    re.findall(r"--color-([a-z-]+): light-dark\((#\w+, #\w+)\)", Path(ROOT / "frontend/css/tokens.css").read_text())
)
# Texts that are read on the soft accent, too.
TEXTS = ("ink", "muted", "good", "warn", "bad")


def token(name: str) -> list[str]:
    """Its colours on light pages and on dark ones."""
    return TOKENS[name].split(", ")


colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def check(colour: str) -> None:
    for scheme, (made, surfaces) in enumerate(zip(accents(colour), (LIGHT_SURFACES, DARK_SURFACES), strict=True)):
        for surface in (*surfaces, made.soft):
            assert contrast(made.accent, surface) >= AA
            assert contrast(made.strong, surface) >= AA
        assert min(contrast(made.on_accent, fill) for fill in (made.accent, made.strong)) >= AA
        assert min(contrast(token(text)[scheme], made.soft) for text in TEXTS) >= AA


@given(colours)
@examples(200)
def test_any_colour_gives_accents_with_the_contrast_of_level_aa(colour: str):
    check(colour)


@pytest.mark.parametrize("colour", ["#ffffff", "#000000", "#ffff00", "#0000ff", "#808080", "#5a5a00", "#c387ff"])
def test_the_hardest_colours_have_it_as_well(colour: str):
    check(colour)


def test_the_surfaces_are_those_of_the_style_sheet():
    names = ("paper", "card", "soft", "good-soft", "warn-soft", "bad-soft")
    light, dark = zip(*(token(name) for name in names), strict=True)
    assert (light, dark) == (LIGHT_SURFACES, DARK_SURFACES)


def test_the_style_sheet_has_the_accents_of_our_own_colour():
    light, dark = accents("#3d4fe0")
    names = ("accent", "accent-strong", "accent-soft", "on-accent")
    assert [Accents(*scheme) for scheme in zip(*(token(name) for name in names), strict=True)] == [light, dark]


def test_a_colour_that_is_readable_stays_as_it_is():
    assert accents("#7c2d12")[0].accent == "#7c2d12"
    assert accents("#ffd400")[1].accent == "#ffd400"


def test_the_contrast_is_that_of_wcag():
    """Its own examples: the two ends, and the grey that just passes on white."""
    assert (contrast("#000000", "#ffffff"), contrast("#fff", "#fff")) == (21, 1)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("same", ["#E11D48", "e11d48", "#e11d48"])
def test_case_and_hash_do_not_matter(same):
    assert accents(same) == accents("#e11d48")
    assert accents("#abc") == accents("aabbcc")


@pytest.mark.parametrize(
    "wrong", ["red", "#12", "#12345", "#1234567", "#gggggg", "rgb(1,2,3)", "#e11d48;}body{}", "#e11d48\n"]
)
def test_what_is_no_colour_is_refused(wrong):
    with pytest.raises(BadColour, match="not a colour"):
        accents(wrong)
