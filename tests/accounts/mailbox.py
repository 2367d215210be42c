"""Reads the mails that customers receive, for tests that run in this process."""

import re

from django.core import mail


def last_link() -> str:
    """The path of the first link in the newest mail."""
    found = re.search(r"https?://[^/\s]+(/\S+)", str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found[1]
