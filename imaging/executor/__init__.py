"""Where a picture is worked on: in this process (`local`), or on a worker of the queue `inference` (`remote`, `worker`).

What passes between the two lies in Redis: see `store`. The broker carries the job's id alone.
"""
