"""Where a request goes and what its translation has at hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.dialects.losses import Losses
from services.dialects.members import Extension, JsonObject


@dataclass(frozen=True, slots=True)
class Target:
    """Cohere's model, the request's own extension, the losses so far, and the documents taken out of messages.

    `native`: the request came in this dialect, so what the caller wrote is kept.
    """

    model: str
    extension: Extension
    losses: Losses
    native: bool
    documents: list[JsonObject] = field(default_factory=list)
