"""Resolved settings of the providers service."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Limits(BaseModel):
    """Time limits of one attempt, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connect: float = Field(10.0, gt=0, le=300)
    first_token: float = Field(120.0, gt=0, le=3600)
    inter_token: float = Field(60.0, gt=0, le=3600)
    total: float = Field(1200.0, gt=0, le=86400)


class Account(BaseModel):
    """One provider: where it is, what it speaks and how llmhub proves who it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dialect: str
    base_url: str = ""
    profile: str = ""
    """How the server departs from OpenAI, by name; empty: found by its address."""
    responses: bool | None = None
    """Whether the server has /responses; None: known by its address or profile."""
    api_key: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    limits: Limits = Limits()
    max_connections: int = Field(1000, ge=1, le=100_000)
    missing: tuple[str, ...] = ()
    """What keeps the account from being used, for example the name of an unset environment variable."""


class ProvidersSettings(BaseModel):
    """Every account this process serves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: dict[str, Account] = Field(default_factory=dict)
    max_response_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    """A whole answer above this is refused as UPSTREAM_PROTOCOL."""
