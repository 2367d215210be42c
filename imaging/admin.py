"""Imaging in the admin."""

from imaging.callbacks.admin import CallbackAdmin

__all__ = ["CallbackAdmin"]
