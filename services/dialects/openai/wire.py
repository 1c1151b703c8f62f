"""Words, holes and encodings of the OpenAI wire format."""

from __future__ import annotations

import base64
import binascii
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

_MAGIC: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF", "application/pdf"),
)


def decode_base64(text: str) -> bytes | None:
    """Bytes of canonical base64; None for anything that would not be written the same way again."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encode_base64(data) == text else None


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode()


def decode_data_url(url: str) -> tuple[str, bytes] | None:
    """Media type and bytes of a base64 data URL that has no other parameters; None for any other URL."""
    if not url.startswith("data:"):
        return None
    head, comma, text = url[5:].partition(",")
    mime_type, semicolon, encoding = head.partition(";")
    if not comma or not semicolon or encoding != "base64":
        return None
    data = decode_base64(text)
    return None if data is None else (mime_type, data)


def encode_data_url(mime_type: str, data: bytes) -> str:
    """A base64 data URL."""
    return f"data:{mime_type};base64,{encode_base64(data)}"


def sniff_type(data: bytes) -> str:
    """Media type by the first bytes; application/octet-stream if they say nothing."""
    for magic, mime_type in _MAGIC:
        if data.startswith(magic):
            return mime_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "application/octet-stream"
