"""Which endpoint a path is, and in whose shape its caller expects answers and failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.dialects.codec import ChatCodec
from services.gateway.http.endpoints import ANTHROPIC, ENDPOINTS, OPENAI, VendorEndpoint
from services.gateway.http.exchange import Exchange

_LISTS: Final = ("/v1/models",)


@dataclass(frozen=True, slots=True)
class Found:
    """An endpoint, and the model that the path names where it names one."""

    endpoint: VendorEndpoint
    model: str = ""


def find(path: str) -> Found | None:
    """Return the endpoint at a path."""
    endpoint = ENDPOINTS.get(path)
    if endpoint is not None:
        return Found(endpoint)
    return None


def is_list(path: str) -> bool:
    """Tell whether models are listed or described at a path."""
    return any(path == root or path.startswith(f"{root}/") for root in _LISTS)


def dialect_of(exchange: Exchange) -> ChatCodec:
    """Return the codec whose shapes the caller expects."""
    path = exchange.path
    if path.startswith("/v1/messages"):
        return ANTHROPIC
    return ANTHROPIC if is_list(path) and "anthropic-version" in exchange.headers else OPENAI
