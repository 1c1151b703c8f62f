"""What is known of a model's tokens by its name: which vocabulary it reads with, and what a chat adds to its texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

O200K: Final = "o200k_base"
CL100K: Final = "cl100k_base"


@dataclass(frozen=True, slots=True)
class Family:
    """Models whose tokens are counted alike. Overheads in tokens."""

    vocabulary: str = ""
    """Name of a shipped vocabulary; empty: there is none, and texts are estimated."""
    exact: bool = False
    """A plain conversation counts to exactly what the provider reports."""
    message: int = 4
    """Around each message, its role included."""
    name: int = 1
    """Beside a participant's name."""
    answer: int = 3
    """Once, to open the answer."""
    tools: int = 0
    """Once, if there are tools."""
    typed_tools: bool = False
    """Tools are shown to the model as TypeScript, otherwise as their JSON."""
    format: int = 20
    """Once, if the answer must follow a schema."""
    density: float = 1.0
    """Tokens per token of the common estimate for texts."""
    image_base: int = 0
    image_tile: int = 0
    """Of a tile of 512 by 512; 0: images are counted by area."""


_GPT: Final = Family(vocabulary=O200K, exact=True, typed_tools=True, image_base=85, image_tile=170, format=40)
_REASONING: Final = replace(_GPT, answer=2, tools=3, image_base=75, image_tile=150)

_FAMILIES: Final = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        # Measured with recorded usage: docs/decisions/0013-token-counts.md.
        (r"gpt-5[^/]*-chat", replace(_GPT, exact=False)),
        (r"gpt-5", replace(_REASONING, image_base=70, image_tile=140)),
        (r"o[34](?:-|$)", _REASONING),
        (r"(?:o1(?:-|$)|codex-)", replace(_REASONING, exact=False)),
        (r"gpt-oss", replace(_REASONING, exact=False, answer=64, tools=50, image_tile=0)),
        (r"gpt-4o[^/]*-(?:audio|realtime|search|transcribe|tts)", replace(_GPT, exact=False)),
        (r"(?:gpt-4o|gpt-4\.1)", _GPT),
        (r"(?:chatgpt-4o|gpt-4\.5)", replace(_GPT, exact=False)),
        (r"gpt-3\.?5-turbo-0301", replace(_GPT, vocabulary=CL100K, exact=False)),
        (r"(?:gpt-4(?:-|$)|gpt-3\.?5-turbo)", replace(_GPT, vocabulary=CL100K)),
        (r"claude", Family(density=1.15, tools=350)),
        (r"gemini|gemma", Family(message=2, answer=0, image_base=258)),
        (r"grok", Family(message=4, answer=120, tools=150)),
        (r"mi[sx]tral|magistral|ministral|codestral|devstral|pixtral|voxtral", Family(message=2, answer=1)),
        (r"deepseek", Family(message=2, answer=2, tools=250)),
        (r"llama", Family(message=4, answer=28)),
    )
)
_UNKNOWN: Final = Family()


@lru_cache(maxsize=1024)
def family_of(model: str, codec: str) -> Family:
    """Return the family of a provider's model, as it is read through a codec."""
    name = model.lower().removeprefix("ft:").rpartition("/")[2]
    found = next((family for pattern, family in _FAMILIES if pattern.match(name)), None)
    if found is None:
        # Hosts put regions and vendors before the name: us.anthropic.claude-…, openai.gpt-oss-120b-1:0.
        family = next((family for pattern, family in _FAMILIES if pattern.search(name)), _UNKNOWN)
        found = replace(family, exact=False)
    if found.vocabulary and name.startswith("gpt-5") and codec == "openai":
        # Seen with recorded chats; the responses of the same models do without.
        return replace(found, tools=84)
    return found
