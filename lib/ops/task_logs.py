"""Puts the id of the request that queued a task on the task's log lines."""

from contextvars import Token
from threading import get_ident
from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun

from lib.ops.request_id import current

HEADER = "request_id"
# By thread too: a broker may deliver a task a second time while the first one runs.
_tokens: dict[tuple[str, int], Token[str]] = {}


@before_task_publish.connect  # type: ignore[untyped-decorator]
def send_along(headers: dict[str, Any], **kwargs: Any) -> None:
    """Send the id in the task's headers."""
    headers[HEADER] = current.get()


@task_prerun.connect  # type: ignore[untyped-decorator]
def set_request_id(task_id: str, task: Task, **kwargs: Any) -> None:
    """Set the id in the worker. A task that runs within the request has it already."""
    sent = getattr(task.request, HEADER, None)
    if sent and not task.request.is_eager:
        _tokens[task_id, get_ident()] = current.set(sent)


@task_postrun.connect  # type: ignore[untyped-decorator]
def reset_request_id(task_id: str, **kwargs: Any) -> None:
    """Drop the id: the worker's next task may belong to no request."""
    token = _tokens.pop((task_id, get_ident()), None)
    if token is not None:
        current.reset(token)
