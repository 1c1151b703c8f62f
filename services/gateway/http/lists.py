"""Models as each vendor lists them. `page` takes all models in the order of their ids, and the query's parameters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from llmhub.model.v1.model_service_pb2 import Capability, Model
from services.runtime.errors import RequestInvalid, Violation

Json = dict[str, Any]

_UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"
"""What Anthropic's own list says where a release date is not known."""
_ANTHROPIC_PAGE: Final = 20
_GEMINI_PAGE: Final = 50
_LARGEST_PAGE: Final = 1000
_GEMINI_METHODS: Final = (
    (Capability.CAPABILITY_CHAT, ("generateContent", "streamGenerateContent", "countTokens")),
    (Capability.CAPABILITY_EMBEDDING, ("embedContent", "batchEmbedContents")),
)


class ModelList(Protocol):
    """One vendor's shape."""

    def model(self, model: Model) -> Json:
        """Return one model."""
        ...

    def page(self, models: Sequence[Model], asked: Mapping[str, str]) -> Json:
        """Return the page that is asked for. Raises RequestInvalid."""
        ...


class OpenAIList:
    """OpenAI's, which has no pages."""

    def model(self, model: Model) -> Json:
        return {"id": model.id, "object": "model", "created": 0, "owned_by": model.provider or "llmhub"}

    def page(self, models: Sequence[Model], asked: Mapping[str, str]) -> Json:
        return {"object": "list", "data": [self.model(model) for model in models]}


class AnthropicList:
    """Anthropic's: pages after or before an id."""

    def model(self, model: Model) -> Json:
        shown: Json = {
            "type": "model",
            "id": model.id,
            "display_name": model.display_name or model.id,
            "created_at": _UNKNOWN_DATE,
            "lifecycle": "active",
        }
        if model.HasField("context_tokens"):
            shown["max_input_tokens"] = model.context_tokens
        if model.HasField("max_output_tokens"):
            shown["max_tokens"] = model.max_output_tokens
        return shown

    def page(self, models: Sequence[Model], asked: Mapping[str, str]) -> Json:
        limit = _size(asked, "limit", _ANTHROPIC_PAGE)
        if "after_id" in asked and "before_id" in asked:
            raise _invalid("before_id", "cannot be combined with after_id")
        known = [model.id for model in models]
        if "before_id" in asked:
            end = _place(known, "before_id", asked["before_id"])
            start = max(0, end - limit)
            more = start > 0
        else:
            start = _place(known, "after_id", asked["after_id"]) + 1 if "after_id" in asked else 0
            end = min(start + limit, len(models))
            more = end < len(models)
        data = [self.model(model) for model in models[start:end]]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return {"data": data, "has_more": more, "first_id": first, "last_id": last}


class GeminiList:
    """Google's: resource names, and page tokens, which here are the last name of the page before."""

    def model(self, model: Model) -> Json:
        methods = [name for able, names in _GEMINI_METHODS if able in model.capabilities for name in names]
        shown: Json = {
            "name": f"models/{model.id}",
            "version": "1",
            "displayName": model.display_name or model.id,
            "supportedGenerationMethods": methods or list(_GEMINI_METHODS[0][1]),
        }
        if model.HasField("context_tokens"):
            shown["inputTokenLimit"] = model.context_tokens
        if model.HasField("max_output_tokens"):
            shown["outputTokenLimit"] = model.max_output_tokens
        return shown

    def page(self, models: Sequence[Model], asked: Mapping[str, str]) -> Json:
        size = _size(asked, "pageSize", _GEMINI_PAGE)
        after = asked.get("pageToken", "")
        start = bisect_right([model.id for model in models], after) if after else 0
        end = start + size
        page: Json = {"models": [self.model(model) for model in models[start:end]]}
        if end < len(models):
            page["nextPageToken"] = models[end - 1].id
        return page


LISTS: Final[Mapping[str, type[ModelList]]] = {"anthropic": AnthropicList, "gemini": GeminiList}
"""Shapes by dialect; all others list as OpenAI does."""


def _size(asked: Mapping[str, str], name: str, usual: int) -> int:
    text = asked.get(name, "")
    if not text:
        return usual
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise _invalid(name, "must be a whole number")
    return min(int(text), _LARGEST_PAGE) or usual


def _place(known: Sequence[str], name: str, wanted: str) -> int:
    try:
        return known.index(wanted)
    except ValueError:
        raise _invalid(name, "is no model of this list") from None


def _invalid(field: str, message: str) -> RequestInvalid:
    return RequestInvalid(f"{field}: {message}", violations=(Violation(field, message),))
