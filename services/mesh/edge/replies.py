"""What the edge itself answers (404, 413, 503 …), in the shape that the caller's client understands."""

from __future__ import annotations

from typing import Any, Final

from services.mesh.edge.routes import ANTHROPIC_PREFIX, VENDOR_PATHS, VENDOR_PREFIXES

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


def local_replies() -> dict[str, Any]:
    """Return the local_reply_config. Only failures are rewritten, never a 200 of the edge's own."""
    grpc = _mapper([_at_least(400), _header("content-type", {"prefix": "application/grpc"})])
    # The body becomes grpc-message; for a transcoded call the transcoder makes a google.rpc.Status of it.
    grpc["body_format_override"] = {"text_format_source": {"inline_string": _TEXT}}
    anthropic = [
        _shaped(status, [_path({"prefix": ANTHROPIC_PREFIX})], _anthropic(kind))
        for status, kind in _ANTHROPIC_TYPES
    ]
    vendor_paths = [{"exact": path} for path in VENDOR_PATHS] + [{"prefix": path} for path in VENDOR_PREFIXES]
    openai = [
        _shaped(status, [_any([_path(match) for match in vendor_paths])], _openai(kind))
        for status, kind in _OPENAI_TYPES
    ]
    rest = [_shaped(status, [], _rpc_status(code)) for status, code in _RPC_CODES]
    return {"mappers": [grpc, *anthropic, *openai, *rest]}


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
    return {"or_filter": {"filters": filters}}


def _at_least(status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": f"llmhub.local_reply.{status}"}
    return {"status_code_filter": {"comparison": {"op": "GE", "value": value}}}


def _path(match: dict[str, str]) -> dict[str, Any]:
    return _header(":path", match)


def _header(name: str, match: dict[str, str]) -> dict[str, Any]:
    return {"header_filter": {"header": {"name": name, "string_match": match}}}
