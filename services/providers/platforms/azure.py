"""Azure OpenAI: OpenAI's dialect below a resource's address, by deployment or by the v1 paths."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import quote, urlencode

from services.providers import credentials
from services.providers.domain.limits import Deadlines
from services.providers.platforms.tokens import Token, fetch_oauth
from services.providers.ports import Answer, Transport
from services.providers.settings import Account, Entra

_UNDATED: Final = frozenset({"", "v1"})
_ROLLING: Final = frozenset({"preview", "latest"})
_NOT_OF_A_DEPLOYMENT: Final = ("/responses", "/models")
_OWN_SUFFIXES: Final = ("/openai/v1", "/openai")


class AzureOpenAI:
    """Finds paths by `api_version`: dated ones belong to deployments, else the v1 paths are used; see ports.Platform.

    A model is a deployment's name. An address that ends with /models is Azure AI's way to other vendors' models.
    """

    __slots__ = ("_own", "_query", "_root", "_shape", "_transport")

    def __init__(self, account: Account, transport: Transport) -> None:
        self._own = credentials.headers(account)
        self._transport = transport
        version = account.azure.api_version
        root = account.base_url.rstrip("/")
        for suffix in _OWN_SUFFIXES:
            root = root.removesuffix(suffix)
        self._root = root
        if root.endswith("/models"):
            self._shape = "{root}{path}"
        elif version in _UNDATED or version in _ROLLING:
            self._shape = "{root}/openai/v1{path}"
        else:
            self._shape = "{root}/openai/deployments/{model}{path}"
        self._query = "" if version in _UNDATED else "?" + urlencode({"api-version": version})

    def post(
        self,
        path: str,
        model: str,
        headers: Mapping[str, str],
        body: bytes,
        deadlines: Deadlines,
        *,
        stream: bool = False,
    ) -> AbstractAsyncContextManager[Answer]:
        """Send a request to a deployment."""
        sent = {"content-type": "application/json", **headers, **self._own}
        return self._transport.post(self._url(path, model), sent, body, deadlines)

    def get(self, path: str, deadlines: Deadlines) -> AbstractAsyncContextManager[Answer]:
        """Ask for what the resource has, for example the models it could deploy."""
        return self._transport.get(self._url(path, ""), self._own, deadlines)

    def _url(self, path: str, model: str) -> str:
        shape = self._shape
        if "{model}" in shape and path.startswith(_NOT_OF_A_DEPLOYMENT):
            shape = "{root}/openai{path}"
        return shape.format(root=self._root, path=path, model=_segment(model)) + self._query


def _segment(model: str) -> str:
    """A deployment's name as a part of a path, which it cannot leave."""
    return model.replace(".", "%2E") if model in {".", ".."} else quote(model, safe="")


async def entra_token(provider: str, entra: Entra, transport: Transport) -> Token:
    """Get a token for an application by its secret."""
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": entra.client_id,
            "client_secret": entra.client_secret.get_secret_value(),
            "scope": entra.scope,
        }
    )
    url = f"{entra.authority.rstrip('/')}/{quote(entra.tenant_id, safe='')}/oauth2/v2.0/token"
    return await fetch_oauth(provider, transport, url, form.encode())
