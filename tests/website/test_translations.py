"""The translations in locale/ are complete, valid, compiled, and up to date with the texts in the source."""

import gettext
import re
import shutil
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from django.conf import settings
from django.core.management import call_command

from tests.conftest import skip_or_fail

ROOT = settings.BASE_DIR
SOURCES = ["accounts", "billing", "config", "imaging", "lib", "website", "templates", "locale"]
LOCALE = settings.LOCALE_PATHS[0]
CATALOGUES = sorted(LOCALE.glob("*/LC_MESSAGES/*.po"))
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|</?\w+")
COMMAND = "make messages"


def read(po: Path) -> Catalog:
    with po.open("rb") as file:
        return read_po(file, locale=po.parts[-3])


def forms(text: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """The text, or its plural forms."""
    return (text,) if isinstance(text, str) else tuple(text or ())


def messages(po: Path) -> list[Message]:
    return [message for message in read(po) if message.id]


def name(message: Message) -> tuple[str | None, str]:
    return message.context, forms(message.id)[0]


catalogue = pytest.mark.parametrize("po", CATALOGUES, ids=[f"{po.parts[-3]}-{po.stem}" for po in CATALOGUES])


def test_every_language_but_english_has_its_catalogues():
    others = {code for code, _ in settings.LANGUAGES} - {"en"}
    assert {(po.parts[-3], po.stem) for po in CATALOGUES} == {
        (code, domain) for code in others for domain in ("django", "djangojs")
    }


@catalogue
def test_nothing_is_untranslated_or_guessed(po):
    bad = [
        name(message) for message in messages(po) if message.fuzzy or not message.string or not all(forms(message.string))
    ]
    assert not bad, f"translate these in {po.name}, then {COMMAND}"


@catalogue
def test_every_plural_has_all_forms_of_its_language(po):
    number = read(po).num_plurals
    wrong = [name(one) for one in messages(po) if len(forms(one.string)) != (number if one.pluralizable else 1)]
    assert not wrong


@catalogue
def test_placeholders_and_markup_are_kept(po):
    """A plural form for zero, one or two may leave the number out: the noun expresses it."""
    for message in messages(po):
        source = sorted(PLACEHOLDER.findall(forms(message.id)[-1]))
        for index, text in enumerate(forms(message.string)):
            found = sorted(PLACEHOLDER.findall(text))
            missing = list(source)
            for one in found:
                assert one in missing, f"{one} is not in {forms(message.id)[-1]}"
                missing.remove(one)
            assert len(missing) <= (1 if message.pluralizable and index < 3 else 0), f"{missing} left out of {text}"


@catalogue
def test_what_is_compiled_is_what_is_written(po):
    with po.with_suffix(".mo").open("rb") as file:
        compiled = {key: text for key, text in gettext.GNUTranslations(file)._catalog.items() if key}  # type: ignore[attr-defined]
    written = {}
    for message in messages(po):
        key = "\x04".join(part for part in name(message) if part is not None)
        for index, text in enumerate(forms(message.string)):
            written[(key, index) if message.pluralizable else key] = text
    assert compiled == written, f"run {COMMAND}"


def test_every_text_of_the_product_is_in_the_catalogues(tmp_path, monkeypatch, settings):
    """Collects the texts again, in a copy of the sources."""
    if shutil.which("xgettext") is None:
        skip_or_fail("GNU gettext is not installed")
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
    monkeypatch.chdir(tmp_path)  # the command collects from there
    settings.LOCALE_PATHS = [tmp_path / "locale"]
    for po in CATALOGUES:
        call_command("makemessages", no_obsolete=True, domain=po.stem, locale=[po.parts[-3]], verbosity=0)
        collected = {name(message) for message in messages(tmp_path / po.relative_to(ROOT))}
        assert {name(message) for message in messages(po)} == collected, f"run {COMMAND}"
