"""Failures in the chat dialect: OpenAI's shape, with this dialect's name on them."""

from __future__ import annotations

from collections.abc import Mapping

from services.dialects import openai_errors
from services.dialects.members import JsonObject
from services.dialects.openai.wire import DIALECT
from services.dialects.openai_errors import encode_error, error_object
from services.runtime.errors import LlmhubError

__all__ = ["decode_error", "encode_error", "error_in_answer", "error_object"]


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
    """Read a failure; never raises."""
    return openai_errors.decode_error(status, headers, body, DIALECT)


def error_in_answer(value: JsonObject) -> LlmhubError | None:
    """The failure inside a body or frame that came with status 200; None if there is none."""
    return openai_errors.error_in_answer(value, DIALECT)
