"""Runs any set of services in one process: in-process channels between them, sockets for everybody else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from services.mesh import resolve
from services.mesh.config import Config
from services.mesh.links import LateAuthenticator, Links
from services.mesh.places import Places
from services.mesh.shapes import SERVICES, Process
from services.runtime import page_token, private_file
from services.runtime.addresses import Tls, is_unix, split
from services.runtime.log import get_logger
from services.runtime.server import Listener, RpcServer
from services.runtime.service import Hosted

_LOGGER = get_logger(__name__)
# Services whose public methods ask for a key.
_ASKING: Final = frozenset({"gateway", "router", "auth", "billing"})


@dataclass(slots=True)
class Host:
    """The running services of one process."""

    process: Process
    places: Places
    server: RpcServer
    links: Links
    hosted: dict[str, Hosted]
    notice: float = 0.0
    """Seconds between saying that it goes and taking no new calls: what an edge of its own life takes to notice."""
    ready: bool = True
    """Whether it takes calls."""

    async def drain(self, grace: float) -> None:
        """Take no new calls, let running ones end within `grace` seconds, flush what is owed."""
        self.ready = False
        for hosted in self.hosted.values():
            if hosted.leave is not None:
                hosted.leave()
        notice = min(self.notice, grace / 2)
        grace -= notice
        draining = [asyncio.create_task(self.server.drain(grace, notice=notice))]
        await asyncio.sleep(notice)
        # The gateway ends its calls before those that it calls are told; auth ends watches that gateways hold.
        for name in reversed(SERVICES):
            service = self.hosted.get(name)
            if service is not None:
                await _bounded(name, service, grace)
        await asyncio.gather(*draining, return_exceptions=True)

    def reload(self, config: Config) -> None:
        """Give providers and models anew; running calls keep what they have."""
        providers = self.hosted.get("providers")
        if providers is not None and providers.reload is not None:
            providers.reload(resolve.providers_settings(config, self.process.only))
        router = self.hosted.get("router")
        if router is not None and router.reload is not None:
            router.reload(resolve.router_settings(config))
        billing = self.hosted.get("billing")
        if billing is not None and billing.reload is not None:
            billing.reload(resolve.billing_settings(config, self.places))


async def _bounded(name: str, service: Hosted, grace: float) -> None:
    try:
        async with asyncio.timeout(grace):
            await service.drain()
    except TimeoutError:
        _LOGGER.warning("calls were cut off", service=name, grace_seconds=grace)
    except Exception:
        _LOGGER.exception("drain failed", service=name)


@asynccontextmanager
async def hosting(config: Config, places: Places, process: Process) -> AsyncGenerator[Host, None]:
    """Start the services of a process, and stop them when the context ends. Raises AddressInvalid, PepperError."""
    tls = tls_of(config)
    page_token.use_key(_page_token_key(config, places))
    async with AsyncExitStack() as stack:
        late = LateAuthenticator()
        server = RpcServer(_listeners(process, tls), late, development=config.development)
        links = await stack.enter_async_context(Links(process, server, tls))
        hosted: dict[str, Hosted] = {}
        if "auth" in process.services:
            hosted["auth"] = await _start(stack, server, _auth(config, places, links))
        if _ASKING & set(process.services):
            await _use_key_cache(stack, links, late)
        for name in SERVICES:
            if name == "gateway":
                # Left between the gateway, which still ships usage while it stops, and those that it calls.
                stack.push_async_exit(server)
            if name in process.services and name != "auth":
                context = _context(name, config, places, process, links, late)
                hosted[name] = await _start(stack, server, context)
        await server.__aenter__()
        if process.http and (door := hosted["gateway"].http) is not None:
            from services.mesh.door import serving

            await stack.enter_async_context(serving(door, _bound(process.http, process.bind), tls))
        yield Host(process, places, server, links, hosted)


def _page_token_key(config: Config, places: Places) -> bytes:
    """Return the key that every process of the installation seals page tokens with."""
    given = config.mesh.page_token_key
    if given is not None:
        return given.get_secret_value().encode()
    return private_file.create(places.data / "page-token.key", secrets.token_hex(32)).encode()


async def _start(
    stack: AsyncExitStack, server: RpcServer, context: AbstractAsyncContextManager[Hosted]
) -> Hosted:
    hosted = await stack.enter_async_context(context)
    hosted.register(server.registry)
    return hosted


async def _use_key_cache(stack: AsyncExitStack, links: Links, late: LateAuthenticator) -> None:
    from services.runtime.key_cache import KeyCache

    late.use(await stack.enter_async_context(KeyCache(links.to("auth"))))


def _auth(config: Config, places: Places, links: Links) -> AbstractAsyncContextManager[Hosted]:
    from services.auth.app import build

    return build(resolve.auth_settings(config, places), links)


def _context(
    name: str, config: Config, places: Places, process: Process, links: Links, late: LateAuthenticator
) -> AbstractAsyncContextManager[Hosted]:
    match name:
        case "billing":
            from services.billing import app as billing

            return billing.build(resolve.billing_settings(config, places), links)
        case "providers":
            from services.providers import app as providers

            return providers.build(resolve.providers_settings(config, process.only), links)
        case "router":
            from services.router import app as router

            return router.build(resolve.router_settings(config), links)
        case "gateway":
            from services.gateway import app as gateway

            settings = resolve.gateway_settings(config, places, process)
            return gateway.build(settings, links, late, links.to_peers())
        case _:
            raise ValueError(f"no service is called {name}")


def tls_of(config: Config) -> Tls | None:
    """Return the mesh's certificates."""
    given = config.mesh.tls
    return None if given is None else Tls(given.cert, given.key, given.ca)


def _listeners(process: Process, tls: Tls | None) -> list[Listener]:
    return [
        Listener(address, public, None if is_unix(address) else tls)
        for addresses, public in ((process.public, True), (process.internal, False))
        for address in _bound(addresses, process.bind)
    ]


def _bound(addresses: tuple[str, ...], bind: str | None) -> tuple[str, ...]:
    """Where to listen for calls to these addresses."""
    if bind is None:
        return addresses
    return tuple(address if is_unix(address) else f"{bind}:{split(address)[1]}" for address in addresses)


async def first_key(config: Config, places: Places) -> str | None:
    """Return an administrator's key to show, made if there is none yet."""
    from services.auth.app import ensure_admin_key

    return await ensure_admin_key(resolve.auth_settings(config, places))
