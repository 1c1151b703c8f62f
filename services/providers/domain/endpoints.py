"""Which operations of which dialect can be relayed, and where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llmhub.provider.v1.provider_service_pb2 import Endpoint


@dataclass(frozen=True, slots=True)
class RelayRoute:
    """An endpoint's dialect, its path below the base URL, and the caller's headers that go with it or their default."""

    dialect: str
    path: str
    headers: Mapping[str, str | None]

    def taken(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers to send on, out of the caller's."""
        found = {name: headers.get(name, default) for name, default in self.headers.items()}
        return {name: value for name, value in found.items() if value is not None}


_OPENAI: Mapping[str, str | None] = {"openai-beta": None, "idempotency-key": None}
_ANTHROPIC: Mapping[str, str | None] = {"anthropic-version": "2023-06-01", "anthropic-beta": None}

RELAY_ROUTES: dict[int, RelayRoute] = {
    Endpoint.ENDPOINT_OPENAI_CHAT: RelayRoute("openai", "/chat/completions", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_EMBEDDINGS: RelayRoute("openai", "/embeddings", _OPENAI),
    Endpoint.ENDPOINT_ANTHROPIC_MESSAGES: RelayRoute("anthropic", "/v1/messages", _ANTHROPIC),
    Endpoint.ENDPOINT_ANTHROPIC_COUNT_TOKENS: RelayRoute(
        "anthropic", "/v1/messages/count_tokens", _ANTHROPIC
    ),
}

PASSED_ANSWER_HEADERS = frozenset(
    {
        "content-type",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "openai-processing-ms",
        "openai-version",
    }
)
"""Headers of an answer that go to the caller; rate-limit headers do too, by their prefixes."""

PASSED_ANSWER_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")
