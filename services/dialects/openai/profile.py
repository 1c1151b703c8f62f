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
DEEPSEEK: Final = Profile(name="deepseek", reasoning_member="reasoning_content", stop_sequences=16)
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

PROFILES: Final = {each.name: each for each in (OPENAI, COMPATIBLE, MISTRAL, DEEPSEEK, OPENROUTER, GROQ, XAI)}

_HOSTS: Final = {
    "api.openai.com": OPENAI,
    "openai.azure.com": OPENAI,
    "services.ai.azure.com": OPENAI,
    "api.mistral.ai": MISTRAL,
    "api.deepseek.com": DEEPSEEK,
    "openrouter.ai": OPENROUTER,
    "api.groq.com": GROQ,
    "api.x.ai": XAI,
}


def profile_for(base_url: str) -> Profile:
    """The profile of the server at a base URL; COMPATIBLE for servers not known by name."""
    host = (urlsplit(base_url).hostname or "").lower()
    for known, profile in _HOSTS.items():
        if host == known or host.endswith("." + known):
            return profile
    return COMPATIBLE
