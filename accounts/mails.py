"""Mail to customers. Each is written once, as text; its HTML is the same text in a plain layout."""

import re
from typing import Any

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import translation

from accounts.tasks import deliver_mail
from lib import brand

URL = re.compile(r"https?://\S+")


def send(template_prefix: str, to: str, context: dict[str, Any], *, language: str) -> None:
    """Render a mail in its reader's language, and send it once the transaction is committed.

    Its templates are `<template_prefix>_subject.txt` and `_message.txt`. A mail that cannot be queued is logged; the
    customer's action still takes effect.
    """
    with translation.override(language):
        mail = {"to": to, **write(template_prefix, context)}

    def queue() -> None:
        # A mail's content is between us and its reader: no copy in the worker's log or events.
        deliver_mail.apply_async(kwargs=mail, kwargsrepr="{…}")

    transaction.on_commit(queue, robust=True)


def write(template_prefix: str, context: dict[str, Any]) -> dict[str, str]:
    """`subject`, `text` and `html` of a mail, in the active language."""
    own = brand.current()
    facts = {"public_url": settings.PUBLIC_URL, **context, "brand": own}
    subject = " ".join(render_to_string(f"{template_prefix}_subject.txt", facts).split())
    message = render_to_string(f"{template_prefix}_message.txt", facts).strip()
    signature = render_to_string("mail_signature.txt", facts).strip()
    html = render_to_string("mail.html", facts | {"subject": subject, "paragraphs": paragraphs(message)})
    return {"subject": f"{subject} · {own.name}", "text": f"{message}\n\n{signature}\n", "html": html}


def paragraphs(text: str) -> list[dict[str, Any]]:
    """The text's paragraphs; one that is only a URL becomes a button."""
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    return [{"text": block, "is_link": URL.fullmatch(block) is not None} for block in blocks]
