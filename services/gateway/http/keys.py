"""Where the vendors' SDKs put the key, and how it stays out of everything that is passed on or written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from services.runtime.errors import KeyMissing

KEY_HEADERS: Final = ("x-api-key", "api-key", "x-goog-api-key")
_KEY_PARAMETER: Final = "key"
_SECRET_PARAMETERS: Final = frozenset(
    {_KEY_PARAMETER, "$key", "api_key", "api-key", "apikey", "access_token", "oauth_token", "token"}
)


def token_of(headers: Mapping[str, str], query: str) -> str:
    """Return the key the caller sent, wherever its vendor's SDK puts it. Raises KeyMissing."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer":
        return token.strip()
    for name in KEY_HEADERS:
        if token := headers.get(name, ""):
            return token
    if _KEY_PARAMETER in query:
        for name, token in parse_qsl(query):
            if name == _KEY_PARAMETER:
                return token
    message = "no API key was sent: use authorization: Bearer KEY, x-api-key, api-key or x-goog-api-key"
    raise KeyMissing(message)


def without_secrets(query: str) -> str:
    """Return a query string less the parameters in which keys travel; the others keep their bytes."""
    if not query:
        return ""
    kept = (pair for pair in query.split("&") if pair and not _is_secret(pair))
    return "&".join(kept)


def _is_secret(pair: str) -> bool:
    return unquote_plus(pair.partition("=")[0]).lower() in _SECRET_PARAMETERS
