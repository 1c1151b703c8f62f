"""From an account to its open adapter: which codecs, which platform, which endpoints."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext

from services.dialects.codec import ChatCodec
from services.dialects.names import DIALECTS
from services.dialects.registry import Spoken, speech
from services.providers.adapters.by_model import ByModel
from services.providers.adapters.closed import ClosedAdapter
from services.providers.adapters.dialect import DialectAdapter
from services.providers.adapters.relay import RelayWay
from services.providers.adapters.sim import SimAdapter
from services.providers.codecs import tongue
from services.providers.domain.adapter import Adapter
from services.providers.domain.endpoints import routes
from services.providers.platforms.direct import Direct
from services.providers.platforms.hosts import HOSTS, host
from services.providers.plugins import plugged
from services.providers.ports import Platform, Transport
from services.providers.settings import Account, ProvidersSettings
from services.providers.transport import HttpTransport
from services.runtime.log import get_logger

log = get_logger(__name__)


def adapter_for(account: Account, settings: ProvidersSettings) -> AbstractAsyncContextManager[Adapter]:
    """Return the context in which an account's adapter is open; one that cannot be opened refuses its calls."""
    if account.dialect == "sim":
        return nullcontext(SimAdapter(account))
    if account.dialect not in DIALECTS:
        return plugged(account)
    return _connected(account, settings)


@asynccontextmanager
async def _connected(account: Account, settings: ProvidersSettings) -> AsyncGenerator[Adapter, None]:
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(
            HttpTransport(
                account.name,
                max_connections=account.max_connections,
                max_response_bytes=settings.max_response_bytes,
            )
        )
        try:
            adapter = await _made(account, transport, stack)
        except Exception as error:
            log.exception("provider not opened", provider=account.name)
            adapter = ClosedAdapter(account.name, f"it cannot be opened ({type(error).__name__})")
        yield adapter


async def _made(account: Account, transport: Transport, stack: AsyncExitStack) -> Adapter:
    if account.dialect not in HOSTS:
        return direct_adapter(account, transport)
    platform = await host(account, transport, stack)
    spoken = speech(account.dialect)
    usual = speaking(account, platform, spoken.usual)
    return usual if spoken.claude is None else ByModel(usual, speaking(account, platform, spoken.claude))


def direct_adapter(account: Account, transport: Transport) -> Adapter:
    """Return the adapter of an account whose dialect is at its own vendor or a copy of it."""
    spoken = speech(account.dialect, account.base_url, account.profile, responses=account.responses).usual
    return speaking(account, Direct(account, transport), spoken)


def speaking(account: Account, platform: Platform, spoken: Spoken) -> Adapter:
    """Return the adapter that speaks so on a platform."""
    words = tongue(spoken.codec, account)
    known = routes(spoken.codec)
    codecs: dict[str, ChatCodec] = {spoken.codec: words.chat}
    ways: dict[int, RelayWay] = {}
    for endpoint in spoken.relays:
        route = known.get(endpoint)
        if route is None:
            continue
        if route.codec not in codecs:
            codecs[route.codec] = tongue(route.codec, account).chat
        ways[endpoint] = RelayWay(route, codecs[route.codec])
    return DialectAdapter(account, platform, words, ways)
