"""Names of results in zips: they cannot escape the folder, on Unix or on Windows, and all are distinct."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imaging.batches.names import distinct, result_name
from tests.examples import examples

DEVICES = {"con", "prn", "aux", "nul", "clock$", "conin$", "conout$"} | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789\u00b9\u00b2\u00b3"
}
NASTY = st.lists(st.sampled_from([*"aA.. / \\:|\u00b9\u202e\u200f\u2028\x00\u00a0\u0301e\u00e9", "CON", "nul", "COM1"])).map(
    "".join
)


def named(name: str) -> str:
    return result_name(name, "image/webp")


@pytest.mark.parametrize(
    ("name", "result"),
    [
        (".. ./x.png", "x.webp"),
        ("a/. . ./ .. /x.png", "a/x.webp"),
        ("a. . /x.png", "a/x.webp"),
        ("../..\\C:\\x.png", "C_/x.webp"),
        ("CON.png", "_CON.webp"),
        ("con", "_con.webp"),
        ("nul .tar.png", "_nul .tar.webp"),
        ("aux/lpt1/x.png", "_aux/_lpt1/x.webp"),
        ("COM\u00b9.png", "_COM\u00b9.webp"),
        ("console.png", "console.webp"),
        ("x.png:stream", "x.webp"),
        ("a\u202egnp.exe", "agnp.webp"),
        ("\u200f\u2066caf\u00e9\u2069.png", "caf\u00e9.webp"),
        ("cafe\u0301.png", "caf\u00e9.webp"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.png", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.webp"),
        ("\u5199" * 255, "\u5199" * 78 + ".webp"),
        ("", "image.webp"),
        (".png", ".png.webp"),
    ],
)
def test_the_name_of_a_result(name, result):
    assert named(name) == result


@given(st.one_of(st.text(max_size=300), NASTY))
@example("..\u00a0./x")
@example("A\u2066\u0300.png")
@examples(100)
def test_whatever_a_customer_calls_it_a_result_stays_where_it_is_unpacked(name):
    result = named(name)
    assert result.endswith(".webp")
    for part in result.split("/"):
        assert part.strip(" .") and part == part.rstrip(" ."), "Windows drops them and finds another name, or none"
        assert len(part.encode()) <= 240
        assert not set(part) & set('<>:"|?*\\')
        assert unicodedata.normalize("NFKC", part.split(".")[0].rstrip()).casefold() not in DEVICES
        assert not {unicodedata.category(one) for one in part if one not in "\u200c\u200d"} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert unicodedata.is_normalized("NFC", result)


@given(st.lists(NASTY, max_size=20))
def test_no_two_results_meet_on_a_file_system_that_folds_names(sent):
    result = list(distinct(map(named, sent)))
    assert len(result) == len(sent)
    files = [unicodedata.normalize("NFKC", name).casefold() for name in result]
    assert len(set(files)) == len(files)
    folders = {name[:at] for name in files for at, one in enumerate(name) if one == "/"}
    assert not folders & set(files)


def test_a_file_in_place_of_a_folder():
    assert list(distinct(["a.webp", "A.webp/b.webp", "A.webp/b.webp", "x.webp/y.webp", "x.webp"])) == [
        "a.webp", "b.webp", "b (2).webp", "x.webp/y.webp", "x (2).webp",
    ]  # fmt: skip


def test_500_equal_names_are_made_distinct_at_once():
    result = list(distinct(["a.webp"] * 500))
    assert (len(set(result)), result[-1]) == (500, "a (500).webp")
