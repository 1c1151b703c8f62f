"""Members that say nothing (an empty value, a default): kept as hints, so that a round trip gives them back."""

from __future__ import annotations

from typing import Final

from services.dialects.members import Extension, JsonObject, Members
from services.dialects.raw_json import merge_deep

_QUIET: Final = "="


def quiet(members: Members, name: str) -> None:
    """Keep a member that says nothing as a hint."""
    members.hint(_QUIET + name, members.rest.pop(name))


def take_word(members: Members, name: str) -> str:
    """Take a string for a field that has no presence: an empty one becomes a hint."""
    word = members.text(name)
    if word == "":
        members.hint(_QUIET + name, "")
    return word or ""


def merge_back(into: JsonObject, extension: Extension) -> JsonObject:
    """Add what the extension carries and `into` does not have, hinted members included; return `into`."""
    for key, value in extension.shape.items():
        if key.startswith(_QUIET):
            into.setdefault(key[1:], value)
    return merge_deep(into, extension.members)
