"""Callbacks: signed messages that a batch has ended, posted to the customer's server and retried until delivered."""

from imaging.callbacks.announcing import announce, send_again

__all__ = ["announce", "send_again"]
