"""Words of Ollama's wire format, and its times."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from llmhub.types.v1.content_pb2 import Role
from llmhub.types.v1.generation_pb2 import FinishReason

DIALECT: Final = "ollama"
CHAT_PATH: Final = "/api/chat"
EMBED_PATH: Final = "/api/embed"
EMBEDDINGS_PATH: Final = "/api/embeddings"
"""The older endpoint for one vector of one prompt."""

ROLES: Final = {
    "system": Role.ROLE_SYSTEM,
    "user": Role.ROLE_USER,
    "assistant": Role.ROLE_ASSISTANT,
    "tool": Role.ROLE_TOOL,
}
ROLE_WORDS: Final = {
    Role.ROLE_UNSPECIFIED: "user",
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_DEVELOPER: "system",
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
    Role.ROLE_TOOL: "tool",
}

FINISH_REASONS: Final = {
    "stop": FinishReason.FINISH_REASON_END,
    "length": FinishReason.FINISH_REASON_MAX_TOKENS,
    # Answers to requests without messages, which load and unload the model.
    "load": FinishReason.FINISH_REASON_END,
    "unload": FinishReason.FINISH_REASON_END,
}
FINISH_WORDS: Final = {
    FinishReason.FINISH_REASON_MAX_TOKENS: "length",
    FinishReason.FINISH_REASON_CONTEXT_FULL: "length",
}

_LEVELS: Final = re.compile(r"(?:^|[/:])gpt-oss")
_THINKS: Final = re.compile(
    r"gpt-oss|qwen3|qwq|deepseek-(?:r1|v3\.|v4)|magistral|glm-|kimi|minimax|nemotron|cogito|exaone-deep|gemma[4-9]"
    r"|gemini-|granite4|think|reason|smollm3|olmo-3"
)


def takes_levels(model: str) -> bool:
    """Whether this model tells levels of thinking apart; the others only switch it."""
    return _LEVELS.search(model) is not None


def thinks(model: str) -> bool:
    """Whether this model is known to think: Ollama refuses the switch for models that do not."""
    return _THINKS.search(model.lower()) is not None


def read_time(text: str) -> Timestamp | None:
    """The instant that a text names; None for a text that would not be written the same way again."""
    instant = Timestamp()
    try:
        instant.FromJsonString(text)
    except ValueError:
        return None
    return instant if write_time(instant) == text else None


def write_time(instant: Timestamp) -> str:
    """An instant as Go writes it: UTC, and no trailing zeros in the fraction."""
    text = instant.ToJsonString()
    whole, point, fraction = text.removesuffix("Z").partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}{point}{fraction}Z" if fraction else f"{whole}Z"
