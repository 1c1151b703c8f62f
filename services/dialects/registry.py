"""What a provider speaks, by the dialect it is configured with: who translates for it, and what it takes as it is.

A table, nothing more: no codec is imported here, so that planning a call does not bring all of them along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from llmhub.provider.v1.provider_service_pb2 import Endpoint

Relayed = tuple[Endpoint.ValueType, ...]


@dataclass(frozen=True, slots=True)
class Spoken:
    """The codec that translates for a model, by name, and the endpoints whose bodies the provider takes as they are."""

    codec: str
    relays: Relayed = ()


@dataclass(frozen=True, slots=True)
class Speech:
    """What one account speaks; where it hosts Claude beside others, Claude speaks its own dialect."""

    usual: Spoken
    claude: Spoken | None = None

    def of(self, model: str) -> Spoken:
        """What a model of the account speaks."""
        return self.claude if self.claude is not None and is_claude(model) else self.usual


_CHAT: Final = (Endpoint.ENDPOINT_OPENAI_CHAT, Endpoint.ENDPOINT_OPENAI_EMBEDDINGS)
_MEDIA: Final = (
    Endpoint.ENDPOINT_OPENAI_IMAGES,
    Endpoint.ENDPOINT_OPENAI_SPEECH,
    Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS,
)
_RESPONSES: Final = (Endpoint.ENDPOINT_OPENAI_RESPONSES,)
_OPENAI_OWN: Final = (
    *_CHAT,
    *_RESPONSES,
    Endpoint.ENDPOINT_OPENAI_INPUT_TOKENS,
    Endpoint.ENDPOINT_OPENAI_COMPACT,
    Endpoint.ENDPOINT_OPENAI_MODERATIONS,
    *_MEDIA,
)
_COMPATIBLE: Final = (*_CHAT, Endpoint.ENDPOINT_OPENAI_MODERATIONS, *_MEDIA, Endpoint.ENDPOINT_RERANK)
_AZURE: Final = (*_CHAT, *_RESPONSES, *_MEDIA)
_ANTHROPIC: Final = (Endpoint.ENDPOINT_ANTHROPIC_MESSAGES, Endpoint.ENDPOINT_ANTHROPIC_COUNT_TOKENS)
_VERTEX_GEMINI: Final = (
    Endpoint.ENDPOINT_GEMINI_GENERATE,
    Endpoint.ENDPOINT_GEMINI_COUNT_TOKENS,
    Endpoint.ENDPOINT_GEMINI_EMBED,
)

_CLAUDE: Final = Spoken("anthropic", _ANTHROPIC)

_FIXED: Final[Mapping[str, Speech]] = {
    "azure-openai": Speech(Spoken("openai", _AZURE)),
    "anthropic": Speech(_CLAUDE),
    "gemini": Speech(Spoken("gemini", (*_VERTEX_GEMINI, Endpoint.ENDPOINT_GEMINI_BATCH_EMBED))),
    "vertex": Speech(Spoken("gemini", _VERTEX_GEMINI), claude=_CLAUDE),
    "bedrock": Speech(Spoken("bedrock"), claude=_CLAUDE),
    "ollama": Speech(Spoken("ollama")),
    "cohere": Speech(Spoken("cohere", (Endpoint.ENDPOINT_RERANK,))),
    "sim": Speech(Spoken("sim")),
}

_OPENAI_HOST: Final = "api.openai.com"
_RESPONSES_HOSTS: Final = ("api.x.ai", "api.groq.com", "openrouter.ai", "api.deepseek.com", "api.aws")
"""OpenAI-compatible hosts that serve /responses too; `api.aws` is where Bedrock speaks OpenAI's words."""
_RESPONSES_PROFILES: Final = frozenset({"xai", "groq", "openrouter", "deepseek", "ollama", "vllm"})
"""The same, said by profile: Ollama's and vLLM's servers have no host of their own."""
_OLLAMA_PORT: Final = 11434

RELAY_ONLY: Final[Mapping[str, Endpoint.ValueType]] = {
    "moderate": Endpoint.ENDPOINT_OPENAI_MODERATIONS,
    "image": Endpoint.ENDPOINT_OPENAI_IMAGES,
    "speech": Endpoint.ENDPOINT_OPENAI_SPEECH,
    "transcribe": Endpoint.ENDPOINT_OPENAI_TRANSCRIPTIONS,
    "rerank": Endpoint.ENDPOINT_RERANK,
}
"""Operations that the contract has no words for: only a provider that takes the endpoint's body can do them."""

_CLAUDE_NAME: Final = re.compile(r"(?:^|[./])claude")


def is_claude(model: str) -> bool:
    """Whether a model id of Bedrock or Vertex names a Claude model; ids that do not tell are not taken for one."""
    return _CLAUDE_NAME.search(model) is not None


@lru_cache(maxsize=1024)
def speech(dialect: str, base_url: str = "", profile: str = "", *, responses: bool | None = None) -> Speech:
    """Return what an account speaks. `responses` is the operator's word on whether the server has /responses.

    A dialect that is not known is a plug-in's: it is given the contract's words, so nothing is relayed.
    """
    if dialect not in {"openai", "openai-responses"}:
        return _FIXED.get(dialect) or Speech(Spoken(dialect))
    if dialect == "openai-responses":
        responses = True
    relays: Relayed
    if _openai_itself(base_url, profile):
        relays = _OPENAI_OWN
    elif responses or (responses is None and _has_responses(base_url, profile)):
        relays = (*_COMPATIBLE, *_RESPONSES)
    else:
        relays = _COMPATIBLE
    return Speech(Spoken(dialect, relays))


def _openai_itself(base_url: str, profile: str) -> bool:
    return profile == "openai" or (not profile and _is_at(base_url, (_OPENAI_HOST,)))


def _has_responses(base_url: str, profile: str) -> bool:
    if profile:
        return profile in _RESPONSES_PROFILES
    return _is_at(base_url, _RESPONSES_HOSTS) or _place(base_url)[1] == _OLLAMA_PORT


def _is_at(base_url: str, hosts: tuple[str, ...]) -> bool:
    host, _ = _place(base_url)
    return any(host == known or host.endswith("." + known) for known in hosts)


def _place(base_url: str) -> tuple[str, int | None]:
    """Host and port; nothing for an address that is none, such as one with an unset variable in it."""
    try:
        parts = urlsplit(base_url)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None
