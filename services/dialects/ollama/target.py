"""Where a request goes and what its translation has at hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.dialects.losses import Losses
from services.dialects.members import Extension


@dataclass(frozen=True, slots=True)
class Target:
    """Ollama's model, the request's own extension, the losses so far, and the names of the calls made so far.

    `native`: the request came in this dialect, so what the caller wrote is kept.
    """

    model: str
    extension: Extension
    losses: Losses
    native: bool
    called: dict[str, str] = field(default_factory=dict)
