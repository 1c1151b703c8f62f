"""Which of our errors a provider's failure is: by type and code, then by status, by wording only for length."""

from __future__ import annotations

import re
from typing import Any, Final

from services.dialects.members import JsonObject
from services.runtime.errors import (
    ContentFiltered,
    ContextLengthExceeded,
    LlmhubError,
    ModelNotFound,
    RequestTooLarge,
    UpstreamAuthFailed,
    UpstreamDetail,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)

_BY_WORD: Final[dict[str, type[LlmhubError]]] = {
    "context_length_exceeded": ContextLengthExceeded,
    "exceed_context_size_error": ContextLengthExceeded,
    "prompt_too_long": ContextLengthExceeded,
    "insufficient_quota": UpstreamQuotaExhausted,
    "billing_hard_limit_reached": UpstreamQuotaExhausted,
    "billing_not_active": UpstreamQuotaExhausted,
    "insufficient_balance": UpstreamQuotaExhausted,
    "rate_limit_exceeded": UpstreamRateLimited,
    "rate_limit_error": UpstreamRateLimited,
    "rate_limited": UpstreamRateLimited,
    "resource_exhausted": UpstreamRateLimited,
    "model_not_found": ModelNotFound,
    "deploymentnotfound": ModelNotFound,
    "invalid_model": ModelNotFound,
    "model_decommissioned": ModelNotFound,
    "invalid_api_key": UpstreamAuthFailed,
    "api_key_invalid": UpstreamAuthFailed,
    "authentication_error": UpstreamAuthFailed,
    "unsupported_country_region_territory": UpstreamAuthFailed,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "responsibleaipolicyviolation": ContentFiltered,
    "request_too_large": RequestTooLarge,
    "tool_use_failed": UpstreamFailed,
    "json_validate_failed": UpstreamFailed,
    "engine_overloaded": UpstreamOverloaded,
    "overloaded_error": UpstreamOverloaded,
    "server_error": UpstreamFailed,
    "internal_server_error": UpstreamFailed,
}
_BY_STATUS: Final[dict[int, type[LlmhubError]]] = {
    401: UpstreamAuthFailed,
    402: UpstreamQuotaExhausted,
    403: UpstreamAuthFailed,
    408: UpstreamTimeout,
    409: UpstreamFailed,
    413: RequestTooLarge,
    429: UpstreamRateLimited,
    498: UpstreamOverloaded,
    503: UpstreamOverloaded,
    504: UpstreamTimeout,
    529: UpstreamOverloaded,
}
_TOO_LONG: Final = re.compile(
    r"maximum context length|context[ _](?:length|window|size)|maximum prompt length|too many (?:input )?tokens"
    r"|(?:prompt|input|request) is too (?:long|large)|reduce the length|exceeds? the (?:model'?s )?max(?:imum)? tokens"
    r"|input token count .{0,40}exceeds|tokens? .{0,40}exceeds? the (?:model|limit)|larger than the maximum",
    re.IGNORECASE,
)
# xAI answers 400 to a wrong key, with a code that it has for every bad argument.
_WRONG_KEY: Final = re.compile(r"^incorrect api key provided", re.IGNORECASE)


def classify(detail: UpstreamDetail, error: JsonObject) -> type[LlmhubError]:
    """The class for a failure."""
    status = detail.http_status
    if status == 413:
        return RequestTooLarge
    for word in _words(detail, error):
        found = _BY_WORD.get(word.lower())
        # "server_error" accompanies every failure of a server; some statuses say which one it was.
        if found is not None and not (found is UpstreamFailed and status in _BY_STATUS):
            return found
    metadata = error.get("metadata")
    if status == 403 and isinstance(metadata, dict) and "flagged_input" in metadata:
        return ContentFiltered
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return UpstreamFailed
    if _TOO_LONG.search(detail.message):
        return ContextLengthExceeded
    if _WRONG_KEY.search(detail.message):
        return UpstreamAuthFailed
    if status == 404 and (detail.message or detail.code):
        return ModelNotFound
    return UpstreamRejected if status else UpstreamFailed


def _words(detail: UpstreamDetail, error: JsonObject) -> list[str]:
    """Code before type, the inner codes of Azure and Google before both."""
    words = []
    inner: Any = error.get("innererror")
    if isinstance(inner, dict) and isinstance(inner.get("code"), str):
        words.append(inner["code"])
    details: Any = error.get("details")
    if isinstance(details, list):
        words.extend(
            each["reason"]
            for each in details
            if isinstance(each, dict) and isinstance(each.get("reason"), str)
        )
    words.extend(word for word in (detail.code, detail.type) if word)
    return words
