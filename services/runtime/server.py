"""The gRPC side of a process: its services on ports and in process, behind one list of interceptors."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import grpc.aio
from google.protobuf import descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.runtime.access import AccessTable
from services.runtime.addresses import MAX_MESSAGE_BYTES, AddressInvalid, Tls, is_unix, require_protected
from services.runtime.context import Principal
from services.runtime.errors import ServiceUnavailable
from services.runtime.in_process import InProcessServer
from services.runtime.interceptors import server_interceptors
from services.runtime.interceptors.identity import Authenticator
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A second process on the same port is a mistake that must be seen.
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class Listener:
    """An address to listen on. `public`: the edge reaches it, so internal methods do not exist there."""

    address: str
    public: bool
    tls: Tls | None = None


class RpcServer:
    """Serves what is registered on `registry`, from entering the context to leaving it.

    Register first, then enter: a method without a rule in the contract fails with AccessMissing, an address that cannot
    be used with AddressInvalid. Calls through `channel()` work as soon as something is registered. `authenticator` may
    be set later, for it may itself need the channel; until then nobody's key can be verified.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        authenticator: Authenticator | None = None,
        *,
        development: bool = False,
    ) -> None:
        self.authenticator = authenticator
        self.access = AccessTable()
        self.addresses: list[str] = []
        self._listeners = tuple(listeners)
        self._development = development
        self._health = health.aio.HealthServicer()
        self._in_process = InProcessServer(server_interceptors(self.access, self, public=False))
        self._servers = {
            public: grpc.aio.server(
                interceptors=server_interceptors(self.access, self, public=public), options=_OPTIONS
            )
            for public in sorted({listener.public for listener in listeners})
        }
        self.registry = _Registry(self.access, [self._in_process, *self._servers.values()])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.registry)

    def channel(self) -> grpc.aio.Channel:
        """A channel to the services of this process, without the wire; never a public one."""
        return self._in_process.channel()

    async def authenticate(self, token: str) -> Principal:
        """Resolve a key as the interceptors do."""
        if self.authenticator is None:
            raise ServiceUnavailable("keys cannot be verified yet", service="auth")
        return await self.authenticator.authenticate(token)

    async def __aenter__(self) -> Self:
        services = [*self.registry.services, ""]
        if self._development:
            for server in self._servers.values():
                names = (*self.registry.services, reflection.SERVICE_NAME)
                reflection.enable_server_reflection(names, server)
            self.access.add(descriptor_pool.Default().FindServiceByName(reflection.SERVICE_NAME))
        for listener in self._listeners:
            self.addresses.append(_bind(self._servers[listener.public], listener))
        for server in self._servers.values():
            await server.start()
        for service in services:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        _LOGGER.info("serving", services=self.registry.services, listeners=self.addresses)
        return self

    async def drain(self, grace: float, *, notice: float = 0.0) -> None:
        """Say NOT_SERVING, and after `notice` seconds take no new call from the edge and let running ones end.

        Returns when they have, or after `grace` more seconds, when the rest is ended with UNAVAILABLE. The mesh's own
        calls go on until the context is left, for those that are ending need them.
        """
        await self._health.enter_graceful_shutdown()
        if notice:
            await asyncio.sleep(notice)
        if public := self._servers.get(True):
            await public.stop(grace)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async with AsyncExitStack() as stack:
            for server in (self._in_process, *self._servers.values()):
                stack.push_async_callback(server.stop, None)


class _Registry(grpc.aio.Server):
    """Puts every servicer on all servers, and its rules into the access table."""

    def __init__(self, access: AccessTable, servers: Sequence[grpc.aio.Server]) -> None:
        self._access = access
        self._servers = servers
        self.services: list[str] = []

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        handlers = tuple(generic_rpc_handlers)
        for server in self._servers:
            server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        self._access.add(descriptor_pool.Default().FindServiceByName(service_name))
        self.services.append(service_name)
        for server in self._servers:
            server.add_registered_method_handlers(service_name, dict(method_handlers))

    def add_insecure_port(self, address: str) -> NoReturn:
        raise NotImplementedError("listeners are given to the RpcServer")

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> NoReturn:
        raise NotImplementedError("listeners are given to the RpcServer")

    async def start(self) -> None:
        raise NotImplementedError("enter the RpcServer")

    async def stop(self, grace: float | None) -> None:
        raise NotImplementedError("leave the RpcServer")

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        raise NotImplementedError("wait for the process, not for its server")


def _bind(server: grpc.aio.Server, listener: Listener) -> str:
    """Bind and return the address with the port that was taken, where port 0 was asked for."""
    address = listener.address
    require_protected(address, listener.tls)
    try:
        if listener.tls is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, listener.tls.server_credentials())
    except (RuntimeError, OSError) as error:
        raise AddressInvalid(
            f"cannot listen on {address}: is another process using it, may this user, and do the certificates exist?"
        ) from error
    if is_unix(address):
        Path(address.removeprefix("unix:")).chmod(0o600)
        return address
    return f"{address.rpartition(':')[0]}:{port}"
