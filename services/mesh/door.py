"""The HTTP door on unix sockets or ports, inside the process's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from services.mesh.http_protocol import Exchanges, HttpProtocol
from services.runtime.addresses import AddressInvalid, Tls, is_unix, require_protected, split
from services.runtime.service import AsgiApp

_BACKLOG: Final = 2048
_END_SECONDS: Final = 2.0


@asynccontextmanager
async def serving(app: AsgiApp, addresses: tuple[str, ...], tls: Tls | None) -> AsyncGenerator[None, None]:
    """Serve the application until the context ends. Raises AddressInvalid."""
    exchanges = Exchanges(app)
    protocol = partial(HttpProtocol, exchanges)
    servers: list[asyncio.AbstractServer] = []
    try:
        servers.extend([await _listen(protocol, address, tls) for address in addresses])
        yield
    finally:
        for server in servers:
            server.close()
        for connection in tuple(exchanges.connections):
            connection.end()
        if exchanges.tasks:
            await asyncio.wait(exchanges.tasks, timeout=_END_SECONDS)
        for connection in tuple(exchanges.connections):
            connection.transport.abort()
        for server in servers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    await server.wait_closed()
        for address in filter(is_unix, addresses):
            Path(address.removeprefix("unix:")).unlink(missing_ok=True)  # noqa: ASYNC240 - a microsecond at the end


async def _listen(protocol: partial[HttpProtocol], address: str, tls: Tls | None) -> asyncio.AbstractServer:
    require_protected(address, tls)
    loop = asyncio.get_running_loop()
    try:
        if is_unix(address):
            # The socket's folder is the owner's alone, so there is no moment in which others could connect.
            path = Path(address.removeprefix("unix:"))
            path.unlink(missing_ok=True)  # noqa: ASYNC240 - a microsecond at the start
            server = await loop.create_unix_server(protocol, str(path), backlog=_BACKLOG)
            path.chmod(0o600)  # noqa: ASYNC240 - as above
            return server
        host, port = split(address)
        listener = socket.create_server((host, port), backlog=_BACKLOG)
        return await loop.create_server(protocol, sock=listener, ssl=None if tls is None else _context(tls))
    except OSError as error:
        raise AddressInvalid(f"cannot listen on {address}: {error.strerror}") from error


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls.authority))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tls.certificate, tls.key)
    return context
