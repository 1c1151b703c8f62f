"""What makes a configuration wrong although each of its parts is right."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from services.dialects.names import DIALECTS
from services.mesh.config import Config, ModelEntry
from services.mesh.provider_section import OWNERS, SIM, UNSET, Provider, ProviderModel

KeyPath = tuple[str | int, ...]
Found = Iterator[tuple[KeyPath, str, str]]
"""Where, what is wrong, what to do."""

_POSTGRESQL: Final = "postgresql+psycopg://"


def faults_of(config: Config) -> Found:
    """Yield every fault."""
    yield from _models(config)
    yield from _providers(config)
    yield from _facts(config)
    yield from _database(config)
    yield from _files(config)


def _models(config: Config) -> Found:
    for name, entry in config.models.items():
        provider, slash, _ = name.partition("/")
        if slash:
            if entry.targets is not None:
                yield (
                    ("models", name, "targets"),
                    "only an alias has targets",
                    "choose a name without a slash",
                )
            if provider not in config.providers and provider != SIM:
                yield ("models", name), f"no provider is called {provider}", _did_you_mean(provider, config)
        elif entry.targets is None:
            yield ("models", name), "an alias needs targets", "add `targets: [provider/model]`"
        else:
            yield from _targets(config, name, entry)


def _targets(config: Config, name: str, entry: ModelEntry) -> Found:
    for index, target in enumerate(entry.targets or ()):
        provider, slash, model = target.partition("/")
        place = ("models", name, "targets", index)
        if not slash or not model:
            yield place, f"{target!r} is no target", "write provider/model"
        elif provider not in config.providers and provider != SIM:
            yield place, f"no provider is called {provider}", _did_you_mean(provider, config)


def _did_you_mean(provider: str, config: Config) -> str:
    near = get_close_matches(provider, [*config.providers, SIM], n=1)
    return f"did you mean {near[0]}?" if near else "add it under providers"


def _providers(config: Config) -> Found:
    for name, provider in config.providers.items():
        url = provider.base_url
        if url and not UNSET.search(url) and not url.startswith(("http://", "https://")):
            yield ("providers", name, "base_url"), "is no HTTP address", "begin it with http:// or https://"
        yield from _foreign_keys(name, provider)


def _foreign_keys(name: str, provider: Provider) -> Found:
    """Keys that another dialect would read."""
    plugged = provider.dialect not in DIALECTS
    for key in sorted(provider.model_fields_set):
        owners = OWNERS.get(key)
        if (owners is not None and provider.dialect not in owners) or (key == "options" and not plugged):
            whose = " and ".join(sorted(owners)) if owners else "plug-ins"
            yield ("providers", name, key), f"is a key of {whose}, not of {provider.dialect}", "remove it"


def _facts(config: Config) -> Found:
    """What is declared of models, in words that the router knows: others would never match anything."""
    declared: dict[KeyPath, ModelEntry | ProviderModel] = {
        ("models", name): entry for name, entry in config.models.items()
    }
    for name, provider in config.providers.items():
        if isinstance(provider.models, dict):
            models = provider.models.items()
            declared |= {("providers", name, "models", model): facts for model, facts in models if facts}
    for place, facts in declared.items():
        for field in ("capabilities", "modalities", "input_modalities", "output_modalities"):
            given: tuple[str, ...] | None = getattr(facts, field)
            if given:
                known = _known_words(field)
                yield from (
                    ((*place, field, index), f"{word!r} is not known", f"known: {', '.join(sorted(known))}")
                    for index, word in enumerate(given)
                    if word not in known
                )


def _known_words(field: str) -> frozenset[str]:
    # Imported only for files that declare models: it brings the contract along.
    from services.router import convert

    return convert.CAPABILITY_NAMES if field == "capabilities" else convert.MODALITY_NAMES


def _database(config: Config) -> Found:
    if not config.database:
        return
    if not config.database.startswith((_POSTGRESQL, "sqlite:///")):
        yield ("database",), "is no address of a database", f"begin it with {_POSTGRESQL}"
    elif config.database.startswith(_POSTGRESQL) and find_spec("psycopg") is None:
        yield (
            ("database",),
            "the driver is not installed",
            "install psycopg[binary] into llmhub's environment",
        )


def _files(config: Config) -> Found:
    for place, section in ((("edge", "tls"), config.edge.tls), (("mesh", "tls"), config.mesh.tls)):
        if section is None:
            continue
        for field in type(section).model_fields:
            path: Path = getattr(section, field)
            if not path.is_file():
                yield (*place, field), f"there is no file {path}", "check the path"
