"""How the services of one process reach each other and the rest of the mesh."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import grpc.aio

from services.mesh.shapes import Addresses, Process
from services.runtime.addresses import Tls, is_unix
from services.runtime.channels import open_channel
from services.runtime.context import Principal
from services.runtime.errors import ServiceUnavailable
from services.runtime.interceptors.identity import Authenticator
from services.runtime.server import RpcServer


class Links:
    """Finds channels, as services.runtime.service.Channels promises: in process where the service is, else by wire."""

    def __init__(self, process: Process, server: RpcServer, tls: Tls | None) -> None:
        self._process = process
        self._tls = tls
        self._local = server.channel()
        self._open: dict[Addresses, grpc.aio.Channel] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for channel in self._open.values():
            await channel.close()
        await self._local.close()

    def to(self, service: str) -> grpc.aio.Channel:
        """Return the channel to a service."""
        if service in self._process.services:
            return self._local
        return self._remote(self._process.remote[service])

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        """Return the channel to the process that serves a provider."""
        if "providers" in self._process.services and (
            self._process.only is None or provider in self._process.only
        ):
            return self._local
        own = self._process.remote_providers.get(provider, ())
        if own and all(not is_unix(each) or Path(each.removeprefix("unix:")).exists() for each in own):
            return self._remote(own)
        # A provider without a process of its own, or one whose process is not there yet.
        return self._remote(self._process.remote.get("providers", own))

    def to_peers(self) -> list[grpc.aio.Channel]:
        """Return one channel to each of the other gateways."""
        return [self._remote((address,)) for address in self._process.peers]

    def _remote(self, addresses: Addresses) -> grpc.aio.Channel:
        channel = self._open.get(addresses)
        if channel is None:
            tls = None if all(is_unix(address) for address in addresses) else self._tls
            channel = self._open[addresses] = open_channel(*addresses, tls=tls)
        return channel


class KeyChecks(Authenticator, Protocol):
    """An authenticator that says when it can be asked."""

    def ready(self) -> bool:
        """Whether keys can be verified yet."""
        ...


class LateAuthenticator:
    """Stands in for the key cache until the services that it needs have started."""

    def __init__(self) -> None:
        self._authenticator: KeyChecks | None = None

    def use(self, authenticator: KeyChecks) -> None:
        """Pass questions on to this one from now on."""
        self._authenticator = authenticator
        # One step less for every call from here on.
        self.authenticate = authenticator.authenticate  # type: ignore[method-assign]

    def ready(self) -> bool:
        """Whether keys can be verified."""
        return self._authenticator is not None and self._authenticator.ready()

    async def authenticate(self, token: str) -> Principal:
        """Return who holds the key; see services.runtime.interceptors.identity.Authenticator."""
        if self._authenticator is None:
            raise ServiceUnavailable("keys cannot be verified yet", service="auth")
        return await self._authenticator.authenticate(token)
