"""Dialects from other packages, found by the entry point group `llmhub.providers`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Final

GROUP: Final = "llmhub.providers"


def plugin_names() -> frozenset[str]:
    """Return the dialects that installed packages offer; nothing of them is imported."""
    return frozenset(each.name for each in entry_points(group=GROUP))
