"""The documentation's code samples: one file per task and language, highlighted here, the same text for all readers."""

import html
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_noop
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

# Placeholder for the reader's key. The key itself never gets here: the browser fills it in.
KEY = "YOUR_API_KEY"
# Placeholders in the files for this deployment's URL and its host.
BASE_URL, HOST = "https://api.example.com", "api.example.com"
# White space, punctuation, names: they are not coloured, and would make up most spans of a sample.
PLAIN = re.compile(r'<span class="(?:w|p|n|nx|nn|o|err|nd)">([^<]*)</span>')
FOLDER = Path(settings.BASE_DIR) / "templates/docs/samples"
# Language, its name on the tab, Pygments' name of it.
LANGUAGES = (
    ("curl", "curl", "bash"),
    ("http", "HTTP", "http"),
    ("python", "Python", "python"),
    ("cli", gettext_noop("Command line"), "bash"),
    ("node", "Node.js", "javascript"),
    ("browser", gettext_noop("Browser"), "javascript"),
    ("php", "PHP", "php"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One task in one language. `code` is HTML."""

    language: str
    label: str
    code: SafeString


def samples(task: str, base_url: str) -> list[Sample]:
    """A task in every language that has a file. Raises FileNotFoundError for a task without any."""
    found = [
        Sample(language, gettext(label), coloured(placed(_text(task, language), base_url), lexer))
        for language, label, lexer in LANGUAGES
        if (FOLDER / f"{task}.{language}.txt").exists()
    ]
    if not found:
        raise FileNotFoundError(f"there is no sample of {task}")
    return found


def placed(code: str, base_url: str) -> str:
    """Code with this deployment's URL filled in."""
    return code.replace(BASE_URL, base_url).replace(HOST, base_url.partition("://")[2])


@lru_cache(maxsize=512)  # a deployment may answer under several names
def coloured(code: str, lexer: str) -> SafeString:
    """Code as HTML, tokens in spans by kind; the key's placeholder is marked for the browser to find."""
    marked = highlight(code, get_lexer_by_name(lexer), HtmlFormatter(nowrap=True)).rstrip("\n")
    marked = PLAIN.sub(r"\1", marked)
    # Pygments escapes what it writes.
    return mark_safe(marked.replace(html.escape(KEY), f"<span data-key>{KEY}</span>"))  # noqa: S308


@cache
def _text(task: str, language: str) -> str:
    return (FOLDER / f"{task}.{language}.txt").read_text()
