"""The HTTP server in front of the application: waitress, with deadlines, limits and budgets for hostile and slow clients.

`docs/adr/0001-waitress-inside-gunicorn.md` says why. gunicorn starts and stops the processes (see `config.web_worker`).
"""
