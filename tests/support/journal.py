"""What a replay server saw: every request, and when its connection was left."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.wire import Incoming

_IN_PATH: Final = re.compile(r"/models?/([^/]+)(?::[A-Za-z]+|/(?:converse|invoke|count)[a-z-]*)\Z")
_IN_FORM: Final = re.compile(rb'\r\n[^\r\n]*; name="?model"?\r\n\r\n([^\r\n]*)\r\n')


@dataclass(slots=True)
class Arrival:
    """One request and what became of it. Instants are on the monotonic clock of this machine, in seconds."""

    number: int
    provider: str
    path: str
    """Below the provider's prefix."""
    query: str
    method: str
    headers: dict[str, str]
    raw_head: bytes
    body: bytes
    at: float
    connection: int
    answered_at: float | None = None
    """When the whole program had been played."""
    left_at: float | None = None
    """When the gateway closed the connection before that."""
    faults: list[str] = field(default_factory=list)
    """What a provider would have had to complain about."""

    @property
    def json(self) -> Any:
        """The body by value."""
        return json.loads(self.body)

    @property
    def model(self) -> str:
        """The model in the body, JSON or form, or in a path of Gemini's or Bedrock's; empty where there is none."""
        if (named := _IN_PATH.search(self.path)) is not None:
            return urllib.parse.unquote(named[1])
        if (given := _IN_FORM.search(self.body)) is not None:
            return given[1].decode()
        try:
            value = self.json.get("model", "")
        except (ValueError, AttributeError):
            return ""
        return value if isinstance(value, str) else ""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.answered_at is not None or self.left_at is not None


def arrival(number: int, request: Incoming, connection: int) -> Arrival:
    """Return the journal's line for a request; the first segment of the path names the provider."""
    split = urllib.parse.urlsplit(request.target)
    _, _, rest = split.path.partition("/")
    provider, _, path = rest.partition("/")
    return Arrival(
        number=number,
        provider=provider,
        path=f"/{path}",
        query=split.query,
        method=request.method,
        headers=dict(request.headers),
        raw_head=bytes(request.head),
        body=bytes(request.body),
        at=time.monotonic(),
        connection=connection,
    )


class Journal:
    """Arrivals in their order. Written by the server's thread, read by the test's."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._arrivals: list[Arrival] = []

    def add(self, arrival: Arrival) -> None:
        """Note an arrival."""
        with self._changed:
            self._arrivals.append(arrival)
            self._changed.notify_all()

    def touch(self) -> None:
        """Wake whoever waits for a change of an arrival."""
        with self._changed:
            self._changed.notify_all()

    def mark(self) -> int:
        """Return a position; `since` gives what came after it."""
        with self._changed:
            return len(self._arrivals)

    def since(self, mark: int = 0) -> list[Arrival]:
        """Return the arrivals after a mark."""
        with self._changed:
            return self._arrivals[mark:]

    def of(self, model: str) -> list[Arrival]:
        """Return the arrivals that ask for a model."""
        return [arrival for arrival in self.since() if arrival.model == model]

    def wait(self, wanted: Callable[[Arrival], bool], timeout: float = 10.0) -> Arrival:
        """Return the newest arrival that is as wanted, waiting for it. Raises AssertionError after `timeout` s."""
        with self._changed:
            found: list[Arrival] = []

            def look() -> bool:
                found[:] = [arrival for arrival in self._arrivals if wanted(arrival)]
                return bool(found)

            if not self._changed.wait_for(look, timeout):
                seen = [(arrival.provider, arrival.path, arrival.model) for arrival in self._arrivals[-5:]]
                message = f"no such request within {timeout} s; the last ones were {seen}"
                raise AssertionError(message)
            return found[-1]
