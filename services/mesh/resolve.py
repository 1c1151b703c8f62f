"""From the file to what each service is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.auth.settings import AuthSettings
from services.billing.settings import BillingSettings, PricedProvider, PriceOverride
from services.gateway.settings import GatewaySettings
from services.mesh.config import Config, Fetch, ModelEntry
from services.mesh.places import Places
from services.mesh.provider_section import SIM, Provider, ProviderModel
from services.mesh.shapes import Process
from services.providers.fetch_settings import FetchSettings
from services.providers.settings import Account, Azure, Bedrock, ProvidersSettings, Vertex
from services.router.settings import Alias, DeclaredModel, RoutedProvider, RouterSettings

_BASE_URLS: Final = {
    "openai": "https://api.openai.com/v1",
    "openai-responses": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "cohere": "https://api.cohere.com",
    "ollama": "http://127.0.0.1:11434",
}
_MULTI_REGIONS: Final = frozenset({"us", "eu"})


def providers_of(config: Config) -> dict[str, Provider]:
    """Return the configured providers, and the built-in `sim` where none of them can be used."""
    found: dict[str, Provider] = dict(config.providers)
    if all(provider.missing for provider in found.values()) and SIM not in found:
        found[SIM] = Provider(dialect="sim")
    return found


def auth_settings(config: Config, places: Places) -> AuthSettings:
    """Return what auth is given."""
    return AuthSettings(
        data_dir=places.data,
        database_url=config.database,
        bootstrap_key=config.auth.bootstrap_key,
        peppers=config.auth.peppers,
    )


def billing_settings(config: Config, places: Places) -> BillingSettings:
    """Return what billing is given. A call to the built-in provider costs nothing."""
    providers = {
        name: PricedProvider(
            dialect=provider.dialect, base_url=_base_url(provider), price_list=provider.price_list
        )
        for name, provider in providers_of(config).items()
    }
    free = tuple(
        PriceOverride(provider=name, free=True)
        for name, provider in providers_of(config).items()
        if provider.dialect == "sim"
    )
    return BillingSettings(
        data_dir=places.data,
        database_url=config.database,
        providers=providers,
        overrides=(*config.billing.prices, *free),
    )


def providers_settings(config: Config, only: frozenset[str] | None = None) -> ProvidersSettings:
    """Return what the providers service is given."""
    accounts = {
        name: _account(name, provider)
        for name, provider in providers_of(config).items()
        if only is None or name in only
    }
    return ProvidersSettings(accounts=accounts, fetch=_fetch(config.fetch))


def _fetch(section: Fetch) -> FetchSettings:
    wanted = section.model_dump()
    if not section.content_types:
        del wanted["content_types"]
    return FetchSettings(**wanted)


def router_settings(config: Config) -> RouterSettings:
    """Return what the router is given."""
    return RouterSettings(
        providers={
            name: RoutedProvider(
                name=name,
                dialect=provider.dialect,
                base_url=_base_url(provider),
                profile=provider.profile,
                responses=provider.responses,
                missing=provider.missing,
                bills_after_cancel=provider.cancel_billing == "continues",
                models=tuple(_declared(config, name, provider)),
            )
            for name, provider in providers_of(config).items()
        },
        aliases={
            name: Alias(name=name, targets=entry.targets, strategy=entry.strategy)
            for name, entry in config.models.items()
            if entry.targets is not None
        },
        failures_to_cool_down=config.router.failures_to_cool_down,
        cool_down=config.router.cool_down,
        max_cool_down=config.router.max_cool_down,
    )


def gateway_settings(config: Config, places: Places, process: Process) -> GatewaySettings:
    """Return what a gateway process is given."""
    outbox = places.outbox(process.worker)
    outbox.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return GatewaySettings(
        outbox=outbox,
        responses_url=config.database or f"sqlite:///{places.data / 'responses.db'}",
        max_body_bytes=config.edge.max_body_bytes,
        peers=process.peers,
        **config.gateway.model_dump(),
    )


def longest_answer(config: Config) -> float:
    """Return the seconds after which every attempt at any provider is over."""
    return max((provider.limits.total for provider in providers_of(config).values()), default=0.0)


def _base_url(provider: Provider) -> str:
    if provider.base_url:
        return provider.base_url
    match provider.dialect:
        case "vertex":
            return _vertex_url(provider.location)
        case "bedrock":
            suffix = ".cn" if provider.region.startswith("cn-") else ""
            return f"https://bedrock-runtime.{provider.region}.amazonaws.com{suffix}"
        case dialect:
            return _BASE_URLS.get(dialect, "")


def _vertex_url(location: str) -> str:
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def _account(name: str, provider: Provider) -> Account:
    """An account that lacks something is told what, and none of its secrets."""
    known = Account(
        name=name,
        dialect=provider.dialect,
        base_url=_base_url(provider),
        profile=provider.profile,
        responses=provider.responses,
        limits=provider.limits,
        max_connections=provider.max_connections,
        missing=provider.missing,
    )
    if provider.missing:
        return known
    return known.model_copy(
        update={
            "api_key": provider.api_key,
            "headers": provider.headers,
            "azure": Azure(
                api_version=provider.api_version, entra=provider.entra, access_token=provider.access_token
            ),
            "vertex": Vertex(
                project=provider.project,
                location=provider.location,
                credentials_file=provider.credentials_file,
                access_token=provider.access_token,
            ),
            "bedrock": Bedrock(
                region=provider.region,
                access_key_id=provider.access_key_id,
                secret_access_key=provider.secret_access_key,
                session_token=provider.session_token,
            ),
            "options": provider.options,
        }
    )


def _declared(config: Config, name: str, provider: Provider) -> list[DeclaredModel]:
    """Models under the provider and under `models: provider/model`; the latter add to the former."""
    listed: Mapping[str, ProviderModel | ModelEntry | None]
    listed = provider.models if isinstance(provider.models, dict) else dict.fromkeys(provider.models)
    prefix = f"{name}/"
    own = {
        key.removeprefix(prefix): entry
        for key, entry in config.models.items()
        if key.startswith(prefix) and entry.targets is None
    }
    return [_model(model, facts) for model, facts in {**listed, **own}.items()]


def _model(name: str, facts: ProviderModel | ModelEntry | None) -> DeclaredModel:
    if facts is None:
        return DeclaredModel(name=name)
    return DeclaredModel(
        name=name,
        display_name=facts.display_name,
        capabilities=facts.capabilities,
        input_modalities=facts.input_modalities or facts.modalities,
        output_modalities=facts.output_modalities,
        context_tokens=facts.context_tokens,
        max_output_tokens=facts.max_output_tokens,
    )
