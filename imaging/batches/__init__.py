"""Batches: many images in one request, processed one by one. Results are kept for BATCH_HOURS."""
