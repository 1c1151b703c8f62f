"""Resolved settings of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class GatewaySettings(BaseModel):
    """Limits and places of one gateway process. Times in seconds, sizes in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outbox: Path
    """The outbox's database file; one process owns it."""
    durability: Literal["full", "normal"] = "full"
    """full: usage survives a power cut. normal: it survives the process, not the machine."""
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024)
    max_running_calls: int = Field(10_000, ge=1)
    max_attempts: int = Field(4, ge=1, le=20)
    """Attempts one call may make over all its targets."""
    kept_decisions: int = Field(1000, ge=1, le=100_000)
    commit_buffer_bytes: int = Field(1024 * 1024, ge=0)
    """What is held back of an answer before its first content; more than this commits."""
    drain_seconds: float = Field(30.0, ge=0, le=3600)
    """How long an answer is read on after its caller left, where the provider bills it anyway."""
    max_draining: int = Field(1000, ge=0)
    responses_url: str
    """The database of kept responses, one for all gateways of the installation."""
    kept_responses_days: float = Field(30.0, ge=0, le=3650)
    """How long a response of the Responses API can be asked about; 0: none is kept."""
    max_background_responses: int = Field(256, ge=1)
    """Responses that one process makes in the background at a time; one key may have a quarter of them."""
    peers: tuple[str, ...] = ()
    """gRPC addresses of the other gateway processes of this mesh, for Cancel and GetDecision."""
