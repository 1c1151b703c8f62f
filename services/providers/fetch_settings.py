"""Resolved settings of the guarded fetcher."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class FetchSettings(BaseModel):
    """What may be fetched for callers, if anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False
    max_bytes: int = Field(8 * 1024 * 1024, ge=1, le=256 * 1024 * 1024)
    """Of one file."""
    timeout: float = Field(10.0, gt=0, le=300)
    """Seconds for all files of a request together."""
    max_per_request: int = Field(8, ge=1, le=64)
    content_types: tuple[str, ...] = (
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "application/pdf",
        "text/plain",
        "audio/*",
    )
    """Media types, or `image/*`."""
    ports: tuple[int, ...] = (443,)
    ca: Path | None = None
    """PEM file of the only authorities to trust; None: the system's."""
