"""Work that no request has to wait for."""

import io
import logging
import smtplib
from email.mime.image import MIMEImage

from celery import Task, shared_task
from django.contrib.sessions.models import Session
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from lib import brand
from lib.ops.database import give_back

logger = logging.getLogger(__name__)

MAX_RETRIES = 6
# 10 s, 20 s, 40 s … 5 min 20 s: a mail server's restart or greylisting is over by then.
FIRST_RETRY_SECONDS = 10


@shared_task(bind=True, max_retries=MAX_RETRIES)  # type: ignore[untyped-decorator]
def deliver_mail(self: Task, *, to: str, subject: str, text: str, html: str) -> None:
    """Deliver one mail to the mail server; in a worker, retry later if that fails.

    Without a broker the customer's own request runs this: then a failure is logged, and the customer requests another mail.
    """
    message = EmailMultiAlternatives(subject, text, to=[to])
    if address := brand.current().support_email:
        message.reply_to = [address]
    message.attach_alternative(html, "text/html")
    # One that the release before has queued shows none.
    if "cid:logo" in html:
        message.mixed_subtype = "related"  # type: ignore[attr-defined]  # which the stubs lack
        message.attach(_logo())
    # The mail server may take seconds.
    give_back()
    try:
        message.send()
    except (smtplib.SMTPException, OSError) as error:
        if self.request.is_eager:
            logger.exception("mail not sent")
            return
        raise self.retry(exc=error, countdown=FIRST_RETRY_SECONDS * 2**self.request.retries) from error


def _logo() -> MIMEImage:
    """The logo, as the part that a mail's HTML refers to. Many mail programs show neither SVGs nor images of servers."""
    current = brand.current()
    width, height = current.header_size
    buffer = io.BytesIO()
    # Twice as large as it is shown.
    current.logo.drawn(2 * width, 2 * height).save(buffer, "PNG", optimize=True)
    image = MIMEImage(buffer.getvalue(), "png")
    image.add_header("Content-ID", "<logo>")
    image.add_header("Content-Disposition", "inline", filename="logo.png")
    return image


# Rows deleted per statement, to keep locks short.
PURGE_BATCH = 5_000


def clear_sessions() -> int:
    """Delete expired sessions, as `manage.py clearsessions` does. Returns how many."""
    removed = 0
    expired = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    while count := Session.objects.filter(pk__in=list(expired.values_list("pk", flat=True)[:PURGE_BATCH])).delete()[0]:
        removed += count
    return removed


@shared_task  # type: ignore[untyped-decorator]
def remove_sessions(user_id: int) -> None:
    """Delete a user's remaining sessions from the store. (None of them grants access any more.)"""
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        if session.get_decoded().get("_auth_user_id") == str(user_id):
            session.delete()
