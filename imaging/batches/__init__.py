"""Batches: many images in one request, processed one by one and kept for a day."""
