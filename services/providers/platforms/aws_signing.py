"""AWS Signature Version 4 on what is sent; the signing and the credential chain are botocore's."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from services.providers.domain.limits import Deadlines
from services.providers.platforms.late import LateExchange
from services.providers.ports import Answer, Transport
from services.providers.settings import Account
from services.runtime.errors import ProviderNotConfigured

_SERVICE: Final = "bedrock"


class SigningTransport:
    """Signs with the account's keys, or with those of botocore's default chain; see ports.Transport.

    The chain may read files and ask the machine's metadata service, so it is asked in a thread, once; keys that
    expire are renewed there too.
    """

    def __init__(self, account: Account, inner: Transport) -> None:
        self._account = account
        self._inner = inner
        # Any: botocore has no types.
        self._auth: Any = importlib.import_module("botocore.auth")
        self._request: Any = importlib.import_module("botocore.awsrequest").AWSRequest
        self._lock = asyncio.Lock()
        self._chain: Any = None
        self._fixed = self._own_keys()

    def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadlines: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        """Send signed."""
        if self._fixed is not None:
            return self._inner.post(
                url, self._signed("POST", url, headers, body, self._fixed), body, deadlines
            )

        async def begin() -> AbstractAsyncContextManager[Answer]:
            signed = self._signed("POST", url, headers, body, await self._keys())
            return self._inner.post(url, signed, body, deadlines)

        return LateExchange(self._account.name, begin, deadlines)

    def get(
        self, url: str, headers: Mapping[str, str], deadlines: Deadlines
    ) -> AbstractAsyncContextManager[Answer]:
        """Ask signed."""

        async def begin() -> AbstractAsyncContextManager[Answer]:
            keys = self._fixed or await self._keys()
            return self._inner.get(url, self._signed("GET", url, headers, b"", keys), deadlines)

        return LateExchange(self._account.name, begin, deadlines)

    def _own_keys(self) -> Any:
        given = self._account.bedrock
        if given.access_key_id is None or given.secret_access_key is None:
            return None
        token = given.session_token.get_secret_value() if given.session_token else None
        credentials: Any = importlib.import_module("botocore.credentials")
        return credentials.ReadOnlyCredentials(
            given.access_key_id.get_secret_value(), given.secret_access_key.get_secret_value(), token
        )

    async def _keys(self) -> Any:
        """Return keys that hold now."""
        async with self._lock:
            return await asyncio.to_thread(self._from_chain)

    def _from_chain(self) -> Any:
        name = self._account.name
        errors: Any = importlib.import_module("botocore.exceptions")
        try:
            if self._chain is None:
                self._chain = importlib.import_module("botocore.session").Session().get_credentials()
            keys = None if self._chain is None else self._chain.get_frozen_credentials()
        except (errors.BotoCoreError, OSError, ValueError) as error:
            text = f"provider {name} is not configured: AWS credentials were not had ({type(error).__name__})"
            raise ProviderNotConfigured(text, provider=name) from None
        if keys is None or not keys.access_key:
            text = f"provider {name} is not configured: botocore's default chain finds no AWS credentials"
            raise ProviderNotConfigured(text, provider=name)
        return keys

    def _signed(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, keys: Any
    ) -> Mapping[str, str]:
        request = self._request(method=method, url=url, headers=dict(headers), data=body)
        self._auth.SigV4Auth(keys, _SERVICE, self._account.bedrock.region).add_auth(request)
        return dict(request.headers.items())
