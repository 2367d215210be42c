"""The shape of an API key."""

import pytest

from accounts.keys import KEY_LENGTH, find_key, new_key


def test_a_new_key_parses_back():
    key = new_key()
    assert find_key(key.text) == key
    assert key.text.startswith("rmbg_")
    assert len(key.text) == KEY_LENGTH


def test_keys_differ_and_so_do_their_digests():
    keys = [new_key() for _ in range(50)]
    assert len({key.text for key in keys}) == len({key.lookup for key in keys}) == len({key.digest() for key in keys}) == 50


def test_the_digest_depends_on_the_pepper(settings):
    key = new_key()
    before = key.digest()
    settings.API_KEY_PEPPER = "another"
    assert key.digest() != before


@pytest.mark.parametrize("position", [0, 6, 20, 30, -1])
def test_any_changed_character_is_noticed(position):
    text = new_key().text
    wrong = "x" if text[position] != "x" else "y"
    end = text[position + 1 :] if position != -1 else ""
    assert find_key(text[:position] + wrong + end) is None


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: t + " ", lambda t: "", lambda t: t * 200, lambda t: "é" + t[1:]]
)
def test_garbage_is_not_a_key(spoil):
    assert find_key(spoil(new_key().text)) is None


def test_the_secret_does_not_show_in_a_repr():
    key = new_key()
    assert key.text not in repr(key)
