"""Failures in this dialect: OpenAI's shape, with this dialect's name on them."""

from __future__ import annotations

from collections.abc import Mapping

from services.dialects import openai_errors
from services.dialects.members import JsonObject
from services.dialects.openai_errors import encode_error, error_object
from services.dialects.openai_responses.wire import DIALECT
from services.runtime.errors import LlmhubError, UpstreamFailed

__all__ = ["decode_error", "encode_error", "error_object", "failure_of", "failure_of_response"]


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> LlmhubError:
    """Read a failure; never raises."""
    return openai_errors.decode_error(status, headers, body, DIALECT)


def failure_of(value: JsonObject) -> LlmhubError:
    """The failure that an `error` event, or a body that is no response, tells."""
    error = value.get("error")
    found = error or {name: each for name, each in value.items() if name not in _FRAME}
    return openai_errors.error_in_answer({"error": found}, DIALECT) or _unnamed()


def failure_of_response(response: JsonObject) -> LlmhubError:
    """The failure that a response of status failed tells."""
    return openai_errors.error_in_answer({"error": response.get("error")}, DIALECT) or _unnamed()


_FRAME = frozenset({"type", "sequence_number"})


def _unnamed() -> LlmhubError:
    return UpstreamFailed("the provider's answer failed, and it does not say why")
