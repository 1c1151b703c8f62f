"""Which accounts are hosted elsewhere than at their dialect's vendor, and how their platform is opened."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from services.providers.platforms.aws_signing import SigningTransport
from services.providers.platforms.azure import AzureOpenAI, entra_token
from services.providers.platforms.google_token import google_token
from services.providers.platforms.tokens import Fetch, TokenSource, TokenTransport
from services.providers.platforms.vertex import VertexAI
from services.providers.ports import Platform, Transport
from services.providers.settings import Account

HOSTS: Final = frozenset({"azure-openai", "vertex", "bedrock"})
"""Dialects of a configuration that name a platform."""


async def host(account: Account, transport: Transport, stack: AsyncExitStack) -> Platform:
    """Open the account's platform. A key or a token that was given goes before one that would have to be got.

    Raises ValueError for a dialect that names none.
    """
    given = account.api_key or account.azure.access_token or account.vertex.access_token
    match account.dialect:
        case "azure-openai":
            if account.azure.entra is not None and not given:
                fetch = partial(entra_token, account.name, account.azure.entra, transport)
                transport = await _tokens(account, fetch, transport, stack)
            return AzureOpenAI(account, transport)
        case "vertex":
            if account.vertex.credentials_file and not given:
                fetch = partial(google_token, account.name, account.vertex.credentials_file, transport)
                transport = await _tokens(account, fetch, transport, stack)
            return VertexAI(account, transport)
        case "bedrock":
            from services.providers.platforms.bedrock import Bedrock  # noqa: PLC0415 - it brings botocore along

            signs = not given and "authorization" not in map(str.lower, account.headers)
            return Bedrock(account, SigningTransport(account, transport) if signs else transport)
        case _:
            message = f"there is no platform for {account.dialect}"
            raise ValueError(message)


async def _tokens(account: Account, fetch: Fetch, transport: Transport, stack: AsyncExitStack) -> Transport:
    source = await stack.enter_async_context(TokenSource(account.name, fetch))
    return TokenTransport(account.name, transport, source)
