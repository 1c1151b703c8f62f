"""How llmhub proves to a provider who it is: headers by dialect."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from pydantic import SecretStr

from llmhub.types.v1.error_pb2 import Error
from services.providers.settings import Account

_SHORTEST_SECRET: Final = 8
"""Shorter values of extra headers are versions and names, which may occur in any text."""


_KEY_HEADERS: Final = {
    "anthropic": "x-api-key",
    "azure-openai": "api-key",
    "gemini": "x-goog-api-key",
    "vertex": "x-goog-api-key",
}
"""Where an API key does not go as a bearer token."""


def headers(account: Account) -> dict[str, str]:
    """Return the account's fixed credential and extra headers, names in lower case. Extras win."""
    out: dict[str, str] = {}
    if account.api_key is not None:
        secret = account.api_key.get_secret_value()
        name = _KEY_HEADERS.get(account.dialect)
        if name is None:
            out["authorization"] = f"Bearer {secret}"
        else:
            out[name] = secret
    token = account.azure.access_token or account.vertex.access_token
    if token:
        out["authorization"] = f"Bearer {token.get_secret_value()}"
    out.update({name.lower(): value.get_secret_value() for name, value in account.headers.items()})
    return out


def scrub(error: Error, erase: Callable[[bytes], bytes]) -> None:
    """Take an account's secrets out of what a provider said of its failure."""

    def erased(text: str) -> str:
        return erase(text.encode()).decode("utf-8", "replace")

    error.message = erased(error.message)
    for name, value in error.metadata.items():
        error.metadata[name] = erased(value)
    if error.HasField("provider"):
        detail = error.provider
        for member in ("type", "code", "param", "message", "request_id"):
            setattr(detail, member, erased(getattr(detail, member)))
        detail.body = erase(detail.body)


def _secrets(account: Account) -> Iterator[SecretStr]:
    azure, bedrock = account.azure, account.bedrock
    entra = azure.entra.client_secret if azure.entra is not None else None
    keys = (account.api_key, azure.access_token, entra, account.vertex.access_token)
    aws = (bedrock.access_key_id, bedrock.secret_access_key, bedrock.session_token)
    yield from (value for value in (*keys, *aws, *account.headers.values()) if value)


def eraser(account: Account) -> Callable[[bytes], bytes]:
    """Return what takes the account's secrets out of a provider's words: some quote the key that they refuse."""
    secrets = {value.get_secret_value() for value in _secrets(account)}
    # A header's value may be a scheme and a secret.
    secrets |= {word for secret in secrets for word in secret.split()}
    known = sorted(
        (each.encode() for each in secrets if len(each) >= _SHORTEST_SECRET), key=len, reverse=True
    )
    if not known:
        return lambda data: data
    pattern = re.compile(b"|".join(map(re.escape, known)))
    return lambda data: pattern.sub(b"***", data)
