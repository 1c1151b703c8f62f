"""Where a dialect lists its models, and how to read the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.runtime.errors import UpstreamProtocol

MODEL_LISTS: Final[Mapping[str, str]] = {
    "openai": "/models",
    "openai-responses": "/models",
    "anthropic": "/v1/models?limit=1000",
    "gemini": "/v1beta/models?pageSize=1000",
    "ollama": "/api/tags",
    "cohere": "/v1/models?page_size=1000",
}
"""Paths of the first page, by codec; the rest is not asked for."""

_LONGEST: Final = 10_000


def model_names(body: bytes) -> list[str]:
    """Return the names in a list of models, in its order. Raises UpstreamProtocol for what is none."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise UpstreamProtocol("the provider's list of models is not JSON") from None
    # Some servers send the bare list, Together among them.
    rows = value
    if isinstance(value, dict):
        rows = value["data"] if "data" in value else value.get("models")
    if not isinstance(rows, list):
        raise UpstreamProtocol("the provider's list of models has no models")
    return [name for row in rows[:_LONGEST] if (name := _name(row))]


def _name(row: Any) -> str:
    if isinstance(row, dict):
        for member in ("id", "name", "model"):
            name = row.get(member)
            if isinstance(name, str):
                return name.removeprefix("models/")
    return ""
