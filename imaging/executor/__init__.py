"""Runs the work on an image: in this process (`runtime`), or on a worker of the queue `inference` (`remote`, `worker`).

The data that the two exchange is in Redis: see `store`. The broker carries only the job's id.
"""
