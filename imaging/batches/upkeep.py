"""Maintenance of batches, run every minute."""

import logging

from imaging.batches import dispatch, expiry

logger = logging.getLogger(__name__)


def tend() -> None:
    """Send lost messages again, and remove what has expired."""
    if sent := dispatch.resend():
        logger.warning("images of batches sent to workers again", extra={"count": sent})
    expiry.expire()
    expiry.forget_old()
