"""Words of Cohere's wire format."""

from __future__ import annotations

import re
from typing import Final

from llmhub.types.v1.content_pb2 import Role
from llmhub.types.v1.generation_pb2 import FinishReason

DIALECT: Final = "cohere"
CHAT_PATH: Final = "/v2/chat"
EMBED_PATH: Final = "/v2/embed"

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
    "COMPLETE": FinishReason.FINISH_REASON_END,
    "STOP_SEQUENCE": FinishReason.FINISH_REASON_STOP_SEQUENCE,
    "MAX_TOKENS": FinishReason.FINISH_REASON_MAX_TOKENS,
    "TOOL_CALL": FinishReason.FINISH_REASON_TOOL_CALL,
    "ERROR": FinishReason.FINISH_REASON_ERROR,
    "TIMEOUT": FinishReason.FINISH_REASON_ERROR,
}
FINISH_WORDS: Final = {
    FinishReason.FINISH_REASON_STOP_SEQUENCE: "STOP_SEQUENCE",
    FinishReason.FINISH_REASON_MAX_TOKENS: "MAX_TOKENS",
    FinishReason.FINISH_REASON_CONTEXT_FULL: "MAX_TOKENS",
    FinishReason.FINISH_REASON_TOOL_CALL: "TOOL_CALL",
    FinishReason.FINISH_REASON_CONTENT_FILTER: "ERROR",
    FinishReason.FINISH_REASON_MALFORMED: "ERROR",
    FinishReason.FINISH_REASON_ERROR: "ERROR",
}

PLAN: Final = "plan"
"""Hint: the reasoning stood in `tool_plan`."""

_NEVER_THINKS: Final = re.compile(
    r"(?:^|/)(?:command-r|command-light|command-nightly|command-a-03-2025|command-a-vision|command-a-translate|c4ai-)"
)


def may_think(model: str) -> bool:
    """Whether this model may take `thinking`: those known to have none do not."""
    return _NEVER_THINKS.search(model) is None
