"""How OpenAI-compatible servers differ in what they take, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_REASONING_FAMILY: Final = re.compile(r"(?:^|/)(?:o\d|gpt-5|gpt-oss|codex)")
_NEW_CAP_FAMILY: Final = re.compile(r"(?:^|/)(?:o\d|gpt-5|codex)")


@dataclass(frozen=True, slots=True)
class Profile:
    """What one server takes. It decides only what the caller did not write in this dialect himself."""

    name: str
    max_tokens: str = "max_tokens"
    """Member for the output limit; models of the o and gpt-5 families get max_completion_tokens anyway."""
    end_user: str = "user"
    seed: str = "seed"
    required_choice: str = "required"
    reasoning_member: str = ""
    """Where reasoning text of another dialect goes back to the model; empty: nowhere."""
    reasoning_object: bool = False
    """Reasoning is asked for with an object, as at OpenRouter, and reasoning_effort is not known."""
    thinking_switch: bool = False
    """Reasoning is switched on and off with a `thinking` object."""
    effort_for_all: bool = False
    """reasoning_effort may be sent to any model, not only to the families known to take it."""
    top_k: bool = False
    cache_control: bool = False
    video: bool = False
    document_url: bool = False
    metadata: bool = False
    stream_usage: bool = True
    """stream_options.include_usage is understood; without it usage comes unasked or never."""
    call_id_length: int = 0
    """Tool-call ids must be alphanumeric and of this length; 0: any."""
    stop_sequences: int = 4

    def cap_member(self, model: str) -> str:
        """Member for the output limit of this model."""
        return "max_completion_tokens" if _NEW_CAP_FAMILY.search(model) else self.max_tokens

    def takes_effort(self, model: str) -> bool:
        """Whether this model understands reasoning_effort."""
        return self.effort_for_all or _REASONING_FAMILY.search(model) is not None


OPENAI: Final = Profile(
    name="openai", max_tokens="max_completion_tokens", end_user="safety_identifier", metadata=True
)
COMPATIBLE: Final = Profile(name="compatible", effort_for_all=True, top_k=True, video=True, stop_sequences=16)
MISTRAL: Final = Profile(
    name="mistral",
    seed="random_seed",
    required_choice="any",
    stream_usage=False,
    call_id_length=9,
    stop_sequences=16,
)
DEEPSEEK: Final = Profile(
    name="deepseek", reasoning_member="reasoning_content", thinking_switch=True, stop_sequences=16
)
OPENROUTER: Final = Profile(
    name="openrouter",
    effort_for_all=True,
    reasoning_member="reasoning",
    top_k=True,
    cache_control=True,
    video=True,
    document_url=True,
)
GROQ: Final = Profile(name="groq", max_tokens="max_completion_tokens", reasoning_member="reasoning")
XAI: Final = Profile(name="xai", max_tokens="max_completion_tokens", reasoning_member="reasoning_content")

AZURE: Final = Profile(name="azure", max_tokens="max_completion_tokens", metadata=True)
"""Deployments; their names do not tell the model's family, so the newer limit is the one that all of them take."""
OLLAMA: Final = Profile(name="ollama", reasoning_member="reasoning", stop_sequences=16)
"""Refuses reasoning_effort for models that do not think, and passes over top_k."""
VLLM: Final = Profile(name="vllm", effort_for_all=True, top_k=True, video=True, stop_sequences=16)
"""Where it takes reasoning back depends on its version, so none is sent."""
LLAMA_CPP: Final = Profile(
    name="llama-cpp",
    effort_for_all=True,
    reasoning_member="reasoning_content",
    top_k=True,
    stop_sequences=16,
)
TOGETHER: Final = Profile(name="together", effort_for_all=True, top_k=True, video=True, stop_sequences=16)
PERPLEXITY: Final = Profile(name="perplexity", effort_for_all=True, top_k=True, stream_usage=False)
"""Tells usage with every chunk, unasked."""
CEREBRAS: Final = Profile(
    name="cerebras",
    max_tokens="max_completion_tokens",
    reasoning_member="reasoning",
)
HUGGINGFACE: Final = Profile(name="huggingface", effort_for_all=True)
"""Routes to other servers, so only what all of them take is sent."""
SNOWFLAKE: Final = Profile(name="snowflake", max_tokens="max_completion_tokens", reasoning_object=True)
ZAI: Final = Profile(
    name="zai", effort_for_all=True, reasoning_member="reasoning_content", thinking_switch=True
)

PROFILES: Final = {
    each.name: each
    for each in (
        OPENAI,
        COMPATIBLE,
        AZURE,
        CEREBRAS,
        DEEPSEEK,
        GROQ,
        HUGGINGFACE,
        LLAMA_CPP,
        MISTRAL,
        OLLAMA,
        OPENROUTER,
        PERPLEXITY,
        SNOWFLAKE,
        TOGETHER,
        VLLM,
        XAI,
        ZAI,
    )
}

_HOSTS: Final = {
    "api.openai.com": OPENAI,
    "openai.azure.com": AZURE,
    "services.ai.azure.com": AZURE,
    "api.cerebras.ai": CEREBRAS,
    "api.deepseek.com": DEEPSEEK,
    "api.groq.com": GROQ,
    "router.huggingface.co": HUGGINGFACE,
    "api.mistral.ai": MISTRAL,
    "ollama.com": OLLAMA,
    "openrouter.ai": OPENROUTER,
    "api.perplexity.ai": PERPLEXITY,
    "snowflakecomputing.com": SNOWFLAKE,
    "api.together.xyz": TOGETHER,
    "api.together.ai": TOGETHER,
    "api.x.ai": XAI,
    "api.z.ai": ZAI,
    "open.bigmodel.cn": ZAI,
}
_OLLAMA_PORT: Final = 11434


def profile_for(base_url: str) -> Profile:
    """The profile of the server at a base URL; COMPATIBLE for servers not known by name.

    Ollama has no name of its own where it runs at home, but a port.
    """
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    for known, profile in _HOSTS.items():
        if host == known or host.endswith("." + known):
            return profile
    try:
        port = parts.port
    except ValueError:
        port = None
    return OLLAMA if port == _OLLAMA_PORT else COMPATIBLE
