"""What has to be done for batches every minute."""

import logging

from imaging.batches import dispatch, expiry

logger = logging.getLogger(__name__)


def tend() -> None:
    """Send lost messages again, and let go what has had its time."""
    if sent := dispatch.resend():
        logger.warning("pictures of batches sent to workers again", extra={"count": sent})
    expiry.expire()
    expiry.forget_old()
