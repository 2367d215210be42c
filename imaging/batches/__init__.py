"""Batches: many pictures in one request, worked on one by one, kept for a day."""
