"""Builds catalogue snapshots from settings and the built-in model table."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.dialects.registry import speech
from services.router.domain.catalog import AliasCard, ModelCard, Provider, Snapshot, Target
from services.router.settings import Alias, DeclaredModel, RoutedProvider, RouterSettings

_TABLE = Path(__file__).parent.parent / "models.toml"


@cache
def _families() -> tuple[dict[str, Any], ...]:
    return tuple(tomllib.loads(_TABLE.read_text("utf-8"))["family"])


def snapshot(settings: RouterSettings, revision: int) -> Snapshot:
    """Return the catalogue these settings describe."""
    models: dict[str, ModelCard] = {}
    for provider in settings.providers.values():
        for card in _builtin(provider):
            models[card.id] = card
        for declared in provider.models:
            card = _declared(provider.name, declared, models.get(f"{provider.name}/{declared.name}"))
            models[card.id] = card
    return Snapshot(
        revision=revision,
        providers={provider.name: _provider(provider) for provider in settings.providers.values()},
        models=models,
        aliases={alias.name: _alias(alias) for alias in settings.aliases.values()},
    )


def _provider(given: RoutedProvider) -> Provider:
    return Provider(
        name=given.name,
        dialect=given.dialect,
        speech=speech(given.dialect, given.base_url, given.profile, responses=given.responses),
        missing=given.missing,
        bills_after_cancel=given.bills_after_cancel,
        example=given.models[0].name if given.models else "",
    )


def _builtin(provider: RoutedProvider) -> Iterator[ModelCard]:
    host = urlsplit(provider.base_url).hostname or ""
    for family in _families():
        if family.get("host", host) != host or family.get("dialect", provider.dialect) != provider.dialect:
            continue
        for name, context in family["models"].items():
            yield ModelCard(
                provider=provider.name,
                name=name,
                capabilities=frozenset(family["capabilities"]),
                input_modalities=frozenset(family["input_modalities"]),
                output_modalities=frozenset(family["output_modalities"]),
                context_tokens=context,
            )


def _declared(provider: str, model: DeclaredModel, known: ModelCard | None) -> ModelCard:
    base = known or ModelCard(provider=provider, name=model.name)
    return ModelCard(
        provider=provider,
        name=model.name,
        display_name=model.display_name or base.display_name,
        capabilities=_set(model.capabilities, base.capabilities),
        input_modalities=_set(model.input_modalities, base.input_modalities),
        output_modalities=_set(model.output_modalities, base.output_modalities),
        context_tokens=model.context_tokens or base.context_tokens,
        max_output_tokens=model.max_output_tokens or base.max_output_tokens,
    )


def _set(declared: tuple[str, ...] | None, known: frozenset[str] | None) -> frozenset[str] | None:
    return known if declared is None else frozenset(declared)


def _alias(alias: Alias) -> AliasCard:
    targets = tuple(Target(*target.split("/", 1)) for target in alias.targets)
    return AliasCard(alias.name, targets, alias.strategy)
