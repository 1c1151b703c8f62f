"""The catalogue: an immutable, numbered snapshot of providers, models and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.dialects.registry import Speech


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider; `missing` says what keeps it from being used."""

    name: str
    dialect: str
    speech: Speech
    missing: tuple[str, ...] = ()
    bills_after_cancel: bool = False
    example: str = ""
    """The first model declared for it, if there is one."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model. None means unknown, which never excludes it."""

    provider: str
    name: str
    display_name: str = ""
    capabilities: frozenset[str] | None = None
    input_modalities: frozenset[str] | None = None
    output_modalities: frozenset[str] | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None

    @property
    def id(self) -> str:
        """What callers write: provider/model."""
        return f"{self.provider}/{self.name}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an alias points."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class AliasCard:
    """A name for ordered targets."""

    name: str
    targets: tuple[Target, ...]
    strategy: str = "failover"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the catalogue. Models that are not listed can be called all the same: providers add models daily."""

    revision: int
    providers: Mapping[str, Provider]
    models: Mapping[str, ModelCard]
    aliases: Mapping[str, AliasCard]

    def card(self, target: Target) -> ModelCard:
        """Return what is known of a target, which may be nothing."""
        known = self.models.get(f"{target.provider}/{target.model}")
        return known or ModelCard(provider=target.provider, name=target.model)

    def resolve(self, name: str) -> AliasCard | None:
        """Return the alias, or `provider/model` as an alias of one target; None for a name that is neither."""
        alias = self.aliases.get(name)
        if alias is not None:
            return alias
        provider, slash, model = name.partition("/")
        if not slash or not model or provider not in self.providers:
            return None
        return AliasCard(name=name, targets=(Target(provider, model),), strategy="direct")
