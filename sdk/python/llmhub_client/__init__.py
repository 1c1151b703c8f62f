"""Asynchronous client for llmhub. The contract's messages are in `llmhub_client.messages`."""

from llmhub_client.client import Client
from llmhub_client.errors import (
    AlreadyExists,
    Cancelled,
    ConnectFailed,
    DeadlineExceeded,
    FailedPrecondition,
    InternalError,
    InvalidRequest,
    LlmhubError,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    StreamBroken,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from llmhub_client.stream import AnswerStream
from llmhub_client.text import text_of, user

__all__ = [
    "AlreadyExists",
    "AnswerStream",
    "Cancelled",
    "Client",
    "ConnectFailed",
    "DeadlineExceeded",
    "FailedPrecondition",
    "InternalError",
    "InvalidRequest",
    "LlmhubError",
    "NotFound",
    "PermissionDenied",
    "ResourceExhausted",
    "StreamBroken",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "text_of",
    "user",
]
