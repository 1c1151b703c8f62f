"""Where a request goes and what its translation has at hand."""

from __future__ import annotations

from dataclasses import dataclass

from services.dialects.losses import Losses
from services.dialects.members import Extension
from services.dialects.openai.profile import Profile


@dataclass(frozen=True, slots=True)
class Target:
    """The server's profile, the vendor's model, the request's own extension, and the losses so far.

    The extension has a shape exactly if the request came in this dialect: then what the caller wrote is kept.
    """

    profile: Profile
    model: str
    extension: Extension
    losses: Losses
