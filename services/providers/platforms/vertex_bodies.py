"""Bodies of the Developer API's endpoints that Vertex AI wants otherwise."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from services.runtime.errors import OperationUnsupported, RequestInvalid, Violation

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_WRAPPERS: Final = ("generateContentRequest", "generate_content_request")
_BY_CONTENT: Final = re.compile(r"gemini-embedding-(?!001)|multimodal")
"""Embedding models that are asked by embedContent; the older ones by predict."""


def count_body(body: bytes) -> bytes:
    """Unwrap what a count is asked for: Vertex takes its members on top, and knows the model by the path."""
    members = _read(body)
    wrapped = next((members.pop(name) for name in _WRAPPERS if name in members), None)
    if wrapped is not None:
        members |= _read(bytes(wrapped))
    members.pop("model", None)
    return msgspec.json.encode(members)


def embedding_call(body: bytes, model: str, provider: str) -> tuple[str, bytes]:
    """Return the method and the body for a batch of embeddings. Raises OperationUnsupported for what has none."""
    try:
        requests: Any = msgspec.json.decode(body).get("requests")
    except (msgspec.MsgspecError, AttributeError, RecursionError):
        requests = None
    if not isinstance(requests, list) or not requests or not all(isinstance(each, dict) for each in requests):
        raise _invalid("requests", "must be a list of requests")
    if _BY_CONTENT.search(model):
        if len(requests) > 1:
            text = f"{provider}: {model} makes one embedding in a call at Vertex AI"
            raise OperationUnsupported(text, provider=provider, operation="batch of embeddings")
        one = {name: value for name, value in requests[0].items() if name != "model"}
        return "embedContent", msgspec.json.encode(one)
    size = requests[0].get("outputDimensionality")
    if any(each.get("outputDimensionality") != size for each in requests):
        raise _invalid("requests", "must all have the same outputDimensionality")
    wanted: dict[str, Any] = {"instances": [_instance(each) for each in requests]}
    if size is not None:
        wanted["parameters"] = {"outputDimensionality": size}
    return "predict", msgspec.json.encode(wanted)


def _instance(request: dict[str, Any]) -> dict[str, Any]:
    content = request.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    given = parts if isinstance(parts, list) else []
    texts = [text for part in given if isinstance(part, dict) and isinstance(text := part.get("text"), str)]
    if not texts or len(texts) < len(given):
        raise _invalid("requests", "each must have a content of text")
    instance: dict[str, Any] = {"content": "".join(texts)}
    for theirs, ours in (("taskType", "task_type"), ("title", "title")):
        if theirs in request:
            instance[ours] = request[theirs]
    return instance


def _read(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _members(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _invalid("", "must be a JSON object") from None


def _invalid(field: str, message: str) -> RequestInvalid:
    return RequestInvalid(f"{field or 'the body'}: {message}", violations=(Violation(field, message),))
