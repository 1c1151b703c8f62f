"""The end user's id, where it comes from a dialect that allows longer ones."""

from __future__ import annotations

import hashlib
from typing import Final

from services.dialects.losses import Losses

LONGEST: Final = 64
"""What OpenAI and others that speak its words take; Anthropic takes 256 characters."""


def end_user(user: str, losses: Losses) -> str:
    """Return the id, or a digest of one that is too long: it still tells users apart, and nothing about them."""
    if len(user) <= LONGEST:
        return user
    losses.altered("options.end_user_id", f"longer than {LONGEST} characters, so its SHA-256 is sent")
    return hashlib.sha256(user.encode()).hexdigest()
