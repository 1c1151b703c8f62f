"""Resolved settings of the router."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DeclaredModel(BaseModel):
    """A model of one provider as the configuration declares it. Absent fields come from the built-in table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    display_name: str = ""
    capabilities: tuple[str, ...] | None = None
    input_modalities: tuple[str, ...] | None = None
    output_modalities: tuple[str, ...] | None = None
    context_tokens: int | None = Field(None, gt=0)
    max_output_tokens: int | None = Field(None, gt=0)


class RoutedProvider(BaseModel):
    """What the router knows of a provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dialect: str
    base_url: str = ""
    profile: str = ""
    responses: bool | None = None
    missing: tuple[str, ...] = ()
    """What keeps the provider from being used. Empty: it is configured."""
    bills_after_cancel: bool = False
    models: tuple[DeclaredModel, ...] = ()


class Alias(BaseModel):
    """A name for ordered targets, each `provider/model`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    targets: tuple[str, ...] = Field(min_length=1)
    strategy: Literal["failover"] = "failover"


class RouterSettings(BaseModel):
    """The catalogue's sources and the health rules. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: dict[str, RoutedProvider] = Field(default_factory=dict)
    aliases: dict[str, Alias] = Field(default_factory=dict)
    failures_to_cool_down: int = Field(3, ge=1)
    """Failures of a target in a row that take it out for a while."""
    cool_down: float = Field(15.0, ge=0)
    max_cool_down: float = Field(300.0, ge=0)
