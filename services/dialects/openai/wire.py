"""Words and holes of the OpenAI wire format."""

from __future__ import annotations

from typing import Final

from llmhub.types.v1.content_pb2 import Role
from llmhub.types.v1.generation_pb2 import FinishReason

DIALECT: Final = "openai"
CHAT_PATH: Final = "/chat/completions"
EMBEDDINGS_PATH: Final = "/embeddings"

# An extension keeps the vendor's object with a hole where each typed value stood, so that encoding restores the
# shape (string or list, null or absent, which of two spellings) and takes every value from the typed fields.
HOLE: Final = "\0"
TEXT_HOLE: Final = "\0text"
MEDIA_HOLE: Final = "\0media"
REASONING_HOLE: Final = "\0reasoning"
REFUSAL_HOLE: Final = "\0refusal"
OPAQUE_HOLE: Final = "\0opaque"
JSON_HOLE: Final = "\0json"
CONTENT_HOLES: Final = frozenset({TEXT_HOLE, MEDIA_HOLE, REASONING_HOLE, REFUSAL_HOLE, OPAQUE_HOLE})

REASONING_MEMBERS: Final = ("reasoning_content", "reasoning")
REASONING_DETAILS: Final = "reasoning_details"

ROLES: Final = {
    "system": Role.ROLE_SYSTEM,
    "developer": Role.ROLE_DEVELOPER,
    "user": Role.ROLE_USER,
    "assistant": Role.ROLE_ASSISTANT,
    "tool": Role.ROLE_TOOL,
    "function": Role.ROLE_TOOL,
}
ROLE_WORDS: Final = {
    Role.ROLE_UNSPECIFIED: "user",
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_DEVELOPER: "developer",
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
    Role.ROLE_TOOL: "tool",
}

FINISH_REASONS: Final = {
    "stop": FinishReason.FINISH_REASON_END,
    "eos": FinishReason.FINISH_REASON_END,
    "eos_token": FinishReason.FINISH_REASON_END,
    "end_turn": FinishReason.FINISH_REASON_END,
    "stop_sequence": FinishReason.FINISH_REASON_STOP_SEQUENCE,
    "length": FinishReason.FINISH_REASON_MAX_TOKENS,
    "max_tokens": FinishReason.FINISH_REASON_MAX_TOKENS,
    "model_length": FinishReason.FINISH_REASON_CONTEXT_FULL,
    "model_context_window_exceeded": FinishReason.FINISH_REASON_CONTEXT_FULL,
    "tool_calls": FinishReason.FINISH_REASON_TOOL_CALL,
    "function_call": FinishReason.FINISH_REASON_TOOL_CALL,
    "content_filter": FinishReason.FINISH_REASON_CONTENT_FILTER,
    "sensitive": FinishReason.FINISH_REASON_CONTENT_FILTER,
    "error": FinishReason.FINISH_REASON_ERROR,
    "network_error": FinishReason.FINISH_REASON_ERROR,
    "insufficient_system_resource": FinishReason.FINISH_REASON_ERROR,
}
STANDARD_FINISHES: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
FINISH_WORDS: Final = {
    FinishReason.FINISH_REASON_MAX_TOKENS: "length",
    FinishReason.FINISH_REASON_CONTEXT_FULL: "length",
    FinishReason.FINISH_REASON_TOOL_CALL: "tool_calls",
    FinishReason.FINISH_REASON_REFUSAL: "content_filter",
    FinishReason.FINISH_REASON_CONTENT_FILTER: "content_filter",
    FinishReason.FINISH_REASON_ERROR: "error",
}

AUDIO_TYPES: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}
AUDIO_FORMATS: Final = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
