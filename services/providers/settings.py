"""Resolved settings of the providers service."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.providers.fetch_settings import FetchSettings


class Limits(BaseModel):
    """Time limits of one attempt, in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connect: float = Field(10.0, gt=0, le=300)
    first_token: float = Field(120.0, gt=0, le=3600)
    inter_token: float = Field(60.0, gt=0, le=3600)
    total: float = Field(1200.0, gt=0, le=86400)


class Entra(BaseModel):
    """An application registered with Microsoft Entra, which asks for tokens with a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tenant_id: str = Field(min_length=1)
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    authority: str = "https://login.microsoftonline.com"
    scope: str = "https://cognitiveservices.azure.com/.default"


class Azure(BaseModel):
    """Azure OpenAI: with an `api_version` the deployments' paths, without one the v1 paths."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_version: str = ""
    entra: Entra | None = None
    access_token: SecretStr | None = None


class Vertex(BaseModel):
    """Vertex AI of a Google Cloud project."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str = ""
    location: str = "global"
    credentials_file: str = ""
    """A service account's key, or a user's credentials as `gcloud` writes them."""
    access_token: SecretStr | None = None


class Bedrock(BaseModel):
    """Amazon Bedrock in a region; without keys of its own the account uses botocore's default credential chain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str = ""
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None


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
    azure: Azure = Azure()
    vertex: Vertex = Vertex()
    bedrock: Bedrock = Bedrock()
    options: dict[str, Any] = Field(default_factory=dict)
    """A plug-in's own settings, as they were written."""
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
    fetch: FetchSettings = FetchSettings()
