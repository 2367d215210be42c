"""Parses headers with parameters, such as Content-Type and Content-Disposition, as clients write them."""

import re

# A quote ends a value only where the value may end: names contain unescaped quotes. A backslash before such a quote belongs
# to the value (`C:\\`, and in CP932 the second byte of many characters). An unquoted value extends to the next semicolon:
# boundaries contain `=`, names contain spaces. No part of it examines a character more than a few times.
# The repeated group is not possessive: Python before 3.11.5 would match it wrongly (cpython issue 106052).
_END = r'"(?=[ \t]*(?:$|;[ \t]*(?:$|[\w*.-]+[ \t]*=)))'
_PARAMETER = re.compile(
    rf""";[ \t]*([^\s=;"']+)[ \t]*=[ \t]*(?:"((?:[^"\\]++|\\(?!{_END}).|\\|(?!{_END})")*)"?|([^;]*))""", re.DOTALL
)


def parse(value: str) -> tuple[str, dict[str, str]]:
    """The value before the parameters, in lower case, and the parameters by lower-case name.

    The last of repeated parameters wins. Time is linear in the length.
    """
    main, divider, _ = value.partition(";")
    found = _PARAMETER.finditer(value, len(main)) if divider else ()
    return main.strip().lower(), {match[1].lower(): _plain(match[2], match[3]) for match in found}


def _plain(quoted: str | None, bare: str | None) -> str:
    if quoted is None:
        return (bare or "").strip()
    if '\\"' in quoted:
        # Otherwise backslashes belong to a Windows path.
        return quoted.replace("\\\\", "\\").replace('\\"', '"')
    return quoted


def without_single_quotes(value: str) -> str:
    """The value without the single quotes that some clients add; strictly they are part of it."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == "'" else value
