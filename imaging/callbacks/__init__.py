"""Callbacks: the news that a batch has ended, posted to the customer's server, signed, and tried again until it arrives."""

from imaging.callbacks.announcing import announce, send_again

__all__ = ["announce", "send_again"]
