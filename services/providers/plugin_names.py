"""The dialects that installed packages offer; nothing of them is imported, and little else."""

from __future__ import annotations

from typing import Final

GROUP: Final = "llmhub.providers"
"""The entry point group of plug-ins."""


def plugin_names() -> frozenset[str]:
    """Return the names."""
    # Its import costs more than all else here, and few configurations name a plug-in.
    from importlib.metadata import entry_points  # noqa: PLC0415

    return frozenset(each.name for each in entry_points(group=GROUP))
