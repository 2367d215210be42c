"""The server's state: objects, events, the time, and how they are found, listed and sent."""

import copy
import itertools
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.stripe_server.errors import Refused, missing
from tests.fakes.stripe_server.webhooks import Webhooks

API_VERSION = "2026-10-28.endive"
Obj = dict[str, Any]


class World:
    """One account at Stripe, in memory. Keys of an object that start with `_` are internal to the server."""

    def __init__(self, webhooks: Webhooks, clock: int | None = None, after_retries: str = "cancel") -> None:
        self.webhooks = webhooks
        self.after_retries = after_retries
        self.objects: dict[str, Obj] = {}
        self.failing_cards: set[str] = set()
        self.url = ""
        self.api_version = API_VERSION
        self.request: Obj = {"id": None, "idempotency_key": None}
        self._clock = clock
        self._offset = 0
        self._batch: list[Obj] = []
        self._depth = 0
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)

    @property
    def now(self) -> int:
        """The server's time: it stands still if it was set at the start, and runs automatically otherwise."""
        return self._clock if self._clock is not None else int(time.time()) + self._offset

    def set_now(self, moment: int) -> None:
        """Move the clock without running anything; see `clock.advance`."""
        if self._clock is not None:
            self._clock = moment
        else:
            self._offset = moment - int(time.time())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One change at a time; its events are sent together when the outermost one ends."""
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    batch, self._batch = self._batch, []
                    self.webhooks.publish(batch)

    def new_id(self, prefix: str) -> str:
        """An id that shows the order of creation to a reader of logs, and that no two servers share."""
        return f"{prefix}_{next(self._numbers):06d}{secrets.token_hex(6)}"

    def add(self, obj: Obj) -> Obj:
        """Store a new object."""
        self.objects[obj["id"]] = obj
        return obj

    def get(self, kind: str, id: str | None, param: str = "id") -> Obj:
        """The object of that kind; raises `Refused` with `resource_missing`."""
        found = self.objects.get(id or "")
        if found is None or found["object"] != kind:
            raise missing(kind.rpartition(".")[2].replace("_", " "), id or "", param)
        return found

    def all(self, kind: str, **values: Any) -> list[Obj]:
        """The objects of one kind whose fields have these values (None matches any), newest first."""
        filters = {name: value for name, value in values.items() if value is not None}
        return [
            obj
            for obj in reversed(self.objects.values())
            if obj["object"] == kind
            and not obj.get("deleted")
            and all(obj.get(name) == value for name, value in filters.items())
        ]

    def emit(self, type: str, obj: Obj, previous: Obj | None = None) -> Obj:
        """Record an event with the object's current state, and send it when the transaction ends."""
        data: Obj = {"object": public(obj)}
        if previous is not None:
            data["previous_attributes"] = copy.deepcopy(previous)
        event: Obj = {
            "id": self.new_id("evt"),
            "object": "event",
            "api_version": self.api_version,
            "created": self.now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": dict(self.request),
            "type": type,
        }
        self._batch.append(self.add(event))
        return event

    def twin(self, event_id: str) -> Obj:
        """The same fact under a second event id."""
        return self.add({**copy.deepcopy(self.get("event", event_id)), "id": self.new_id("evt")})


def public(value: Any) -> Any:
    """A copy without the server's internal keys."""
    if isinstance(value, dict):
        # Metadata may have such names too: only objects have internal keys.
        own = "object" in value
        return {name: public(item) for name, item in value.items() if not (own and name.startswith("_"))}
    if isinstance(value, list):
        return [public(item) for item in value]
    return value


def list_of(data: list[Obj], url: str, *, has_more: bool = False) -> Obj:
    """Stripe's list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def page_of(objects: list[Obj], params: Obj, url: str) -> Obj:
    """One page of a newest-first list."""
    limit = params.get("limit", 10)
    ids = [obj["id"] for obj in objects]
    for cursor in ("starting_after", "ending_before"):
        if cursor in params and params[cursor] not in ids:
            raise missing("object", params[cursor], cursor)
    if "starting_after" in params and "ending_before" in params:
        raise Refused("You can only use one of `starting_after` and `ending_before`.", param="ending_before")
    if "ending_before" in params:
        before = objects[: ids.index(params["ending_before"])]
        return list_of(public(before[-limit:]), url, has_more=len(before) > limit)
    first = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
    return list_of(public(objects[first : first + limit]), url, has_more=len(objects) > first + limit)
