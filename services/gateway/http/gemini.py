"""The paths of Gemini's API, whose verbs follow the model's name: /v1beta/models/MODEL:generateContent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

PREFIXES: Final = ("/v1beta/models/", "/v1/models/")
STREAM: Final = "streamGenerateContent"
VERBS: Final = ("generateContent", STREAM, "countTokens", "embedContent", "batchEmbedContents")
_OWN_PREFIX: Final = "/v1beta/"
_OWN_HEADERS: Final = ("x-goog-api-key", "x-goog-api-client")


def split(path: str) -> tuple[str, str] | None:
    """Return model and verb of a path, None where it has none. Models may have slashes and colons in their names."""
    for prefix in PREFIXES:
        if path.startswith(prefix):
            model, colon, verb = path.removeprefix(prefix).rpartition(":")
            return (model, verb) if colon and verb in VERBS else None
    return None


def speaks(path: str, headers: Mapping[str, str], query: str) -> bool:
    """Tell whether the caller is a client of Gemini's: by its path, else by how it shows its key."""
    if path.startswith(_OWN_PREFIX) or split(path) is not None:
        return True
    if not path.startswith("/v1/models"):
        return False
    return any(name in headers for name in _OWN_HEADERS) or "key" in parse_qs(query)


def wants_array(path: str, query: str) -> bool:
    """Tell whether the call is for a stream as one JSON array."""
    if not path.endswith(f":{STREAM}") or split(path) is None:
        return False
    asked = parse_qs(query)
    return "sse" not in (*asked.get("alt", ()), *asked.get("$alt", ()))
