"""Where the operations are, below the Developer API's base URL."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

from llmhub.provider.v1.provider_service_pb2 import (
    ENDPOINT_GEMINI_BATCH_EMBED,
    ENDPOINT_GEMINI_COUNT_TOKENS,
    ENDPOINT_GEMINI_EMBED,
    ENDPOINT_GEMINI_GENERATE,
    Endpoint,
)

_ROOT: Final = "/v1beta"
_COLLECTIONS: Final = ("models/", "tunedModels/")
_METHODS: Final = {
    ENDPOINT_GEMINI_GENERATE: "generateContent",
    ENDPOINT_GEMINI_COUNT_TOKENS: "countTokens",
    ENDPOINT_GEMINI_EMBED: "embedContent",
    ENDPOINT_GEMINI_BATCH_EMBED: "batchEmbedContents",
}
_PASSED: Final = frozenset({"alt", "$alt", "prettyPrint", "$prettyPrint"})
"""Members of a caller's query that change the answer's form; all others, keys among them, stay here.

So does `fields`: it could leave out what the call used.
"""


def resource(model: str) -> str:
    """The model's resource name, as bodies have it."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def method_path(model: str, method: str) -> str:
    """The path of a method of a model; the name cannot leave its segment."""
    collection, _, name = resource(model).partition("/")
    return f"{_ROOT}/{collection}/{quote(name, safe='')}:{method}"


def relay_path(endpoint: Endpoint.ValueType, model: str, *, stream: bool, query: str) -> str:
    """The path of a relayed request; of the caller's query only what asks for a form of the answer goes along."""
    method = "streamGenerateContent" if stream else _METHODS[endpoint]
    asked = [(name, value) for name, value in parse_qsl(query) if name in _PASSED]
    path = method_path(model, method)
    return f"{path}?{urlencode(asked, safe='$;=')}" if asked else path
