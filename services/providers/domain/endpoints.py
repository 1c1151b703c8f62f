"""Which operations can be relayed, in which dialect, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from llmhub.provider.v1.provider_service_pb2 import Endpoint, RelayRequest
from services.dialects.gemini.paths import relay_path


@dataclass(frozen=True, slots=True)
class RelayRoute:
    """An endpoint's codec, its path, and the caller's headers that go with it or their default.

    Where the path depends on the request, `locate` gives it.
    """

    codec: str
    path: str
    headers: Mapping[str, str | None]
    locate: Callable[[RelayRequest], str] | None = None

    def taken(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers to send on, out of the caller's."""
        sent: dict[str, str] = {}
        for name, default in self.headers.items():
            value = headers.get(name, default)
            if value is not None:
                sent[name] = value
        return sent


def _gemini_path(request: RelayRequest) -> str:
    return relay_path(request.endpoint, request.attempt.model, stream=request.stream, query=request.query)


_OPENAI: Final[Mapping[str, str | None]] = {"openai-beta": None, "idempotency-key": None}
_FORM: Final[Mapping[str, str | None]] = {**_OPENAI, "content-type": None}
_ANTHROPIC: Final[Mapping[str, str | None]] = {"anthropic-version": "2023-06-01", "anthropic-beta": None}
_NONE: Final[Mapping[str, str | None]] = {}
_GEMINI: Final = RelayRoute("gemini", "", _NONE, _gemini_path)

RELAY_ROUTES: Final[Mapping[int, RelayRoute]] = {
    Endpoint.ENDPOINT_OPENAI_CHAT: RelayRoute("openai", "/chat/completions", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_EMBEDDINGS: RelayRoute("openai", "/embeddings", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_MODERATIONS: RelayRoute("openai", "/moderations", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_IMAGES: RelayRoute("openai", "/images/generations", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_SPEECH: RelayRoute("openai", "/audio/speech", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS: RelayRoute("openai", "/audio/transcriptions", _FORM),
    Endpoint.ENDPOINT_RERANK: RelayRoute("openai", "/rerank", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_RESPONSES: RelayRoute("openai-responses", "/responses", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_INPUT_TOKENS: RelayRoute("openai-responses", "/responses/input_tokens", _OPENAI),
    Endpoint.ENDPOINT_OPENAI_COMPACT: RelayRoute("openai-responses", "/responses/compact", _OPENAI),
    Endpoint.ENDPOINT_ANTHROPIC_MESSAGES: RelayRoute("anthropic", "/v1/messages", _ANTHROPIC),
    Endpoint.ENDPOINT_ANTHROPIC_COUNT_TOKENS: RelayRoute(
        "anthropic", "/v1/messages/count_tokens", _ANTHROPIC
    ),
    Endpoint.ENDPOINT_GEMINI_GENERATE: _GEMINI,
    Endpoint.ENDPOINT_GEMINI_COUNT_TOKENS: _GEMINI,
    Endpoint.ENDPOINT_GEMINI_EMBED: _GEMINI,
    Endpoint.ENDPOINT_GEMINI_BATCH_EMBED: _GEMINI,
}

COHERE_ROUTES: Final[Mapping[int, RelayRoute]] = {
    Endpoint.ENDPOINT_RERANK: RelayRoute("cohere", "/v2/rerank", _NONE)
}
"""Routes of Cohere's own API, where an endpoint that others share has another path."""


def routes(codec: str) -> Mapping[int, RelayRoute]:
    """Return every endpoint's route at a provider whose own codec is this one."""
    return {**RELAY_ROUTES, **COHERE_ROUTES} if codec == "cohere" else RELAY_ROUTES


PASSED_ANSWER_HEADERS: Final = frozenset(
    {
        "content-type",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "openai-processing-ms",
        "openai-version",
        "openai-model",
        "x-gemini-service-tier",
    }
)
"""Headers of an answer that go to the caller; rate-limit headers do too, by their prefixes."""

PASSED_ANSWER_PREFIXES: Final = ("x-ratelimit-", "anthropic-ratelimit-", "ratelimitbysize-")

REQUEST_ID_HEADERS: Final = frozenset(
    {"x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "mistral-correlation-id"}
)
"""Names that vendors give their id of a call."""
