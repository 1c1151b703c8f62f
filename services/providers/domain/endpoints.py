"""Which operations of which dialect can be relayed, and where they are."""

from __future__ import annotations

from dataclasses import dataclass

from llmhub.provider.v1.provider_service_pb2 import Endpoint


@dataclass(frozen=True, slots=True)
class RelayRoute:
    """An endpoint's dialect, its path below the base URL, and the caller's headers that go with it."""

    dialect: str
    path: str
    headers: frozenset[str]


_OPENAI = frozenset({"openai-beta", "idempotency-key"})
_ANTHROPIC = frozenset({"anthropic-version", "anthropic-beta"})

RELAY_ROUTES: dict[int, RelayRoute] = {
    Endpoint.ENDPOINT_OPENAI_CHAT: RelayRoute("openai", "/chat/completions", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_EMBEDDINGS: RelayRoute("openai", "/embeddings", _OPENAI),
    Endpoint.ENDPOINT_ANTHROPIC_MESSAGES: RelayRoute("anthropic", "/v1/messages", _ANTHROPIC),
    Endpoint.ENDPOINT_ANTHROPIC_COUNT_TOKENS: RelayRoute(
        "anthropic", "/v1/messages/count_tokens", _ANTHROPIC
    ),
}

PASSED_ANSWER_HEADERS = (
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "openai-processing-ms",
    "openai-version",
)
"""Headers of an answer that go to the caller; rate-limit headers do too, by their prefixes."""

PASSED_ANSWER_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")
