"""Anthropic's dialect inside Bedrock's InvokeModel: what goes out is wrapped, what comes back is unwrapped.

So the Anthropic codec, and its tap on relayed streams, work on a Claude at Bedrock as they do on Anthropic's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from services.dialects.anthropic_hosted import bedrock_body
from services.dialects.bedrock.errors import error_of, frame_error
from services.dialects.bedrock.wire import base_model, model_path
from services.dialects.data_urls import encode_base64
from services.dialects.eventstream import FrameReader
from services.dialects.members import JsonObject, answer_object, encode_json
from services.dialects.raw_json import raw_members
from services.dialects.sse import encode_event
from services.runtime.errors import LlmhubError, UpstreamProtocol

_MAX_TOKENS: Final = 1
"""InvokeModel's body must name a bound, also where it is only counted."""
_ERRORS: Final = {
    "REQUEST_TOO_LARGE": "request_too_large",
    "CONTEXT_LENGTH_EXCEEDED": "invalid_request_error",
    "MODEL_NOT_FOUND": "not_found_error",
    "CONTENT_FILTERED": "invalid_request_error",
    "UPSTREAM_AUTH_FAILED": "permission_error",
    "UPSTREAM_OVERLOADED": "overloaded_error",
    "UPSTREAM_QUOTA_EXHAUSTED": "billing_error",
    "UPSTREAM_RATE_LIMITED": "rate_limit_error",
    "UPSTREAM_REJECTED": "invalid_request_error",
    "UPSTREAM_TIMEOUT": "timeout_error",
}


class _Chunk(msgspec.Struct, gc=False, rename={"data": "bytes"}):
    data: bytes


class _Typed(msgspec.Struct, gc=False):
    type: str = ""


_chunk = msgspec.json.Decoder(_Chunk).decode
_typed = msgspec.json.Decoder(_Typed).decode


def invoke_path(model: str, *, stream: bool) -> str:
    """The path of InvokeModel, or of InvokeModelWithResponseStream."""
    return model_path(model, "invoke-with-response-stream" if stream else "invoke")


def count_path(model: str) -> str:
    """The path of CountTokens, which knows no cross-region profiles."""
    return model_path(base_model(model), "count-tokens")


def count_body(body: bytes) -> bytes:
    """The body of a count_tokens request for CountTokens; raise RequestInvalid for what is no JSON object."""
    wrapped: JsonObject = {"max_tokens": _MAX_TOKENS, **raw_members(bedrock_body(body))}
    return encode_json({"input": {"invokeModel": {"body": encode_base64(encode_json(wrapped))}}})


def count_answer(body: bytes) -> bytes:
    """CountTokens' answer as Anthropic gives it; raise UpstreamProtocol for anything else."""
    members = answer_object(body)
    tokens = members.pop("inputTokens", None)
    if type(tokens) is not int:
        raise UpstreamProtocol("the provider's answer has no inputTokens")
    return encode_json({"input_tokens": tokens, **members})


def error_body(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """The body of a failed answer as Anthropic would write it; the status and the wait stay as they are."""
    return _error(error_of(status, headers, body))


class InvokeUnwrapper:
    """Turns an answer of InvokeModelWithResponseStream into Anthropic's server-sent events, in any pieces.

    An exception of the service becomes an `error` event. Bytes that are no event stream raise UpstreamProtocol. What
    is left of a frame at the end needs no word: the events then lack their last one.
    """

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader = FrameReader()

    def feed(self, data: bytes) -> bytes:
        """Return the events that these bytes complete."""
        out = []
        for frame in self._reader.feed(data):
            if frame.kind in {"exception", "error"}:
                out.append(encode_event(_error(frame_error(frame)), "error"))
            elif frame.name == "chunk":
                out.append(_event(frame.payload))
        return b"".join(out)


def _event(payload: bytes) -> bytes:
    try:
        data = _chunk(payload).data
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UpstreamProtocol(f"the provider sent a chunk without bytes: {error}") from None
    try:
        kind = _typed(data).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Not Anthropic's: its codec will say so.
        kind = ""
    return encode_event(data, kind)


def _error(error: LlmhubError) -> bytes:
    word = _ERRORS.get(error.reason, "api_error")
    said = error.upstream.message if error.upstream is not None else ""
    return encode_json({"type": "error", "error": {"type": word, "message": said or error.message}})
