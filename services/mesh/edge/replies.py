"""What the edge itself answers (404, 413, 503 …), in the shape that the caller's client understands."""

from __future__ import annotations

import re
from typing import Any, Final

from services.mesh.edge.routes import (
    ANTHROPIC_PATHS,
    GEMINI_VERBS,
    MODELS_PATH,
    OPENAI_PATHS,
    OPENAI_PREFIXES,
)

_LONGEST_PATTERN: Final = 60
"""Envoy takes no expression that compiles to more than a hundred instructions."""
_TEXT: Final = "%LOCAL_REPLY_BODY%"

# HTTP status → google.rpc.Code; the first entry whose status is at or below the reply's counts.
_RPC_CODES: Final = ((504, 4), (503, 14), (502, 14), (500, 13), (429, 8), (413, 3), (408, 4), (404, 5), (403, 7),
                     (401, 16), (400, 3))  # fmt: skip
_OPENAI_TYPES: Final = ((500, "server_error"), (429, "rate_limit_error"), (400, "invalid_request_error"))
_ANTHROPIC_TYPES: Final = (
    (504, "timeout_error"),
    (503, "overloaded_error"),
    (500, "api_error"),
    (429, "rate_limit_error"),
    (414, "invalid_request_error"),
    (413, "request_too_large"),
    (408, "timeout_error"),
    (405, "invalid_request_error"),
    (404, "not_found_error"),
    (400, "invalid_request_error"),
)
_GEMINI_WORDS: Final = (
    (504, "DEADLINE_EXCEEDED"),
    (503, "UNAVAILABLE"),
    (500, "INTERNAL"),
    (429, "RESOURCE_EXHAUSTED"),
    (413, "INVALID_ARGUMENT"),
    (408, "DEADLINE_EXCEEDED"),
    (404, "NOT_FOUND"),
    (400, "INVALID_ARGUMENT"),
)

# The transcoder leaves this header on the REST calls that it turned into gRPC; callers' own are stripped.
_TRANSCODED: Final = "x-envoy-original-path"
_GRPC: Final = (
    {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}},
    {"header_filter": {"header": {"name": _TRANSCODED, "present_match": True, "invert_match": True}}},
)


def local_replies() -> dict[str, Any]:
    """Return the local_reply_config. Only failures are rewritten, never a 200 of the edge's own."""
    grpc = _mapper([_at_least(400), *_GRPC])
    # The body becomes grpc-message.
    grpc["body_format_override"] = {"text_format_source": {"inline_string": _TEXT}}
    too_large = grpc | _mapper([_at_least(413), _below(414), *_GRPC])
    # Else it would be UNKNOWN, which says nothing; the same code as the gateway's own REQUEST_TOO_LARGE.
    too_large["headers_to_add"] = [
        {"header": {"key": "grpc-status", "value": "3"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    ]
    gemini = [_shaped(status, [_of_gemini()], _gemini(word)) for status, word in _GEMINI_WORDS]
    anthropic = [_shaped(status, [_of_anthropic()], _anthropic(kind)) for status, kind in _ANTHROPIC_TYPES]
    openai = [_shaped(status, [_of_openai()], _openai(kind)) for status, kind in _OPENAI_TYPES]
    rest = [_shaped(status, [], _rpc_status(code)) for status, code in _RPC_CODES]
    return {"mappers": [too_large, grpc, *gemini, *anthropic, *openai, *rest]}


def _of_gemini() -> dict[str, Any]:
    asks_as_google = _all([_models(), _any([_has("x-goog-api-key"), _has("x-goog-api-client")])])
    return _any([_matching("/v1beta/.*", GEMINI_VERBS), asks_as_google])


def _of_anthropic() -> dict[str, Any]:
    return _any([_matching(*map(re.escape, ANTHROPIC_PATHS)), _all([_models(), _has("anthropic-version")])])


def _of_openai() -> dict[str, Any]:
    prefixes = (f"{re.escape(prefix)}.*" for prefix in OPENAI_PREFIXES)
    return _matching(*map(re.escape, OPENAI_PATHS), *prefixes)


def _models() -> dict[str, Any]:
    return _matching(f"{MODELS_PATH}(/.*)?")


def _matching(*patterns: str) -> dict[str, Any]:
    """Match whole paths, whatever their query."""
    batches: list[list[str]] = [[]]
    for pattern in patterns:
        if batches[-1] and len("|".join([*batches[-1], pattern])) > _LONGEST_PATTERN:
            batches.append([])
        batches[-1].append(pattern)
    return _any(
        [_header(":path", {"safe_regex": {"regex": rf"({'|'.join(batch)})(\?.*)?"}}) for batch in batches]
    )


def _gemini(word: str) -> dict[str, Any]:
    return {"error": {"code": "%RESPONSE_CODE%", "message": _TEXT, "status": word}}


def _anthropic(kind: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": _TEXT}}


def _openai(kind: str) -> dict[str, Any]:
    return {"error": {"message": _TEXT, "type": kind, "param": None, "code": None}}


def _rpc_status(code: int) -> dict[str, Any]:
    return {"code": code, "message": _TEXT, "details": []}


def _shaped(status: int, filters: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
    mapper = _mapper([_at_least(status), *filters])
    mapper["body_format_override"] = {"json_format": body, "content_type": "application/json"}
    return mapper


def _mapper(filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"filter": filters[0] if len(filters) == 1 else {"and_filter": {"filters": filters}}}


def _any(filters: list[dict[str, Any]]) -> dict[str, Any]:
    return filters[0] if len(filters) == 1 else {"or_filter": {"filters": filters}}


def _all(filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"and_filter": {"filters": filters}}


def _has(name: str) -> dict[str, Any]:
    return {"header_filter": {"header": {"name": name, "present_match": True}}}


def _at_least(status: int) -> dict[str, Any]:
    return _compare("GE", status)


def _below(status: int) -> dict[str, Any]:
    return _compare("LE", status - 1)


def _compare(operator: str, status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": f"llmhub.local_reply.{operator}.{status}"}
    return {"status_code_filter": {"comparison": {"op": operator, "value": value}}}


def _header(name: str, match: dict[str, Any]) -> dict[str, Any]:
    return {"header_filter": {"header": {"name": name, "string_match": match}}}
