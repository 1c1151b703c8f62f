"""What a service offers to the process that hosts it, and how it finds the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import grpc.aio

AsgiApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]
"""An ASGI 3 application."""


Registry: TypeAlias = grpc.aio.Server
"""Where generated `add_XServicer_to_server` functions put servicers: a server with ports or an in-process one."""


class Channels(Protocol):
    """Finds the channel to a service, whatever shape the mesh has. The caller never closes a channel."""

    def to(self, service: str) -> grpc.aio.Channel:
        """Return the channel to `auth`, `router`, `billing` or `gateway`."""
        ...

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        """Return the channel to the providers process that serves the named provider."""
        ...


@dataclass(frozen=True, slots=True)
class Hosted:
    """A started service. It lives inside the async context manager that its `app.build` returns.

    `register` adds its servicers. `drain` waits until running calls have ended and everything owed is flushed; the host
    bounds it. `leave` makes its probes say that the process is about to go, while calls are still taken. `http` is the
    service's HTTP door, if it has one. `reload` takes new settings of the service's own class.
    """

    register: Callable[[Registry], None]
    drain: Callable[[], Awaitable[None]]
    leave: Callable[[], None] | None = None
    http: AsgiApp | None = None
    reload: Callable[[Any], None] | None = None
