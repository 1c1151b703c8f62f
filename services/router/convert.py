"""Router words ↔ contract words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from llmhub.model.v1.model_service_pb2 import Capability, Model
from llmhub.provider.v1.provider_catalog_service_pb2 import Provider as ProviderMessage
from llmhub.provider.v1.provider_catalog_service_pb2 import ProviderState
from llmhub.route.v1 import route_service_pb2 as pb
from llmhub.types.v1.route_pb2 import Considered, Decision, Exclusion, ExclusionReason
from llmhub.types.v1.usage_pb2 import Modality
from services.router.domain.catalog import AliasCard, ModelCard, Provider, Snapshot
from services.router.domain.plan import Needs, Plan

Number = TypeVar("Number", bound=int)

_OPERATIONS = {
    pb.Operation.OPERATION_UNSPECIFIED: "generate",
    pb.Operation.OPERATION_GENERATE: "generate",
    pb.Operation.OPERATION_EMBED: "embed",
    pb.Operation.OPERATION_COUNT_TOKENS: "count_tokens",
    pb.Operation.OPERATION_MODERATE: "moderate",
    pb.Operation.OPERATION_IMAGE: "image",
    pb.Operation.OPERATION_SPEECH: "speech",
    pb.Operation.OPERATION_TRANSCRIBE: "transcribe",
    pb.Operation.OPERATION_RERANK: "rerank",
}

_CAPABILITY_NAMES = {
    number: name.removeprefix("CAPABILITY_").lower() for name, number in Capability.items() if number
}
_MODALITY_NAMES = {
    number: name.removeprefix("MODALITY_").lower() for name, number in Modality.items() if number
}
_CAPABILITIES = {name: number for number, name in _CAPABILITY_NAMES.items()}
_MODALITIES = {name: number for number, name in _MODALITY_NAMES.items()}

CAPABILITY_NAMES = frozenset(_CAPABILITIES)
"""What a configuration may write as a capability."""

MODALITY_NAMES = frozenset(_MODALITIES)
"""What a configuration may write as a modality."""


def needs_from_proto(message: pb.Needs) -> Needs:
    """Read a request's needs."""
    return Needs(
        operation=_OPERATIONS.get(message.operation, "generate"),
        capabilities=frozenset(
            _CAPABILITY_NAMES[number] for number in message.capabilities if number in _CAPABILITY_NAMES
        ),
        input_modalities=frozenset(
            _MODALITY_NAMES[number] for number in message.input_modalities if number in _MODALITY_NAMES
        ),
        input_tokens=message.input_tokens if message.HasField("input_tokens") else None,
        state_origins=frozenset(message.state_origins),
    )


def plan_to_proto(plan: Plan, state: Snapshot) -> pb.PlanResponse:
    """Write a plan with its decision record."""
    response = pb.PlanResponse(decision=decision_to_proto(plan, state.revision))
    for target in plan.targets:
        provider = state.providers[target.provider]
        spoken = provider.speech.of(target.model)
        response.targets.add(
            provider=target.provider,
            model=target.model,
            dialect=spoken.codec,
            bills_after_cancel=provider.bills_after_cancel,
            relays=spoken.relays,
        )
    return response


def decision_to_proto(plan: Plan, revision: int) -> Decision:
    """Write what was considered and why."""
    decision = Decision(strategy=plan.alias.strategy, catalog_revision=revision)
    for entry in plan.considered:
        considered = Considered(
            provider=entry.target.provider,
            model=entry.target.model,
            exclusions=[
                Exclusion(reason=ExclusionReason.ValueType(why.value), message=message)
                for why, message in entry.exclusions
            ],
        )
        if entry.rank is not None:
            considered.rank = entry.rank
        decision.considered.append(considered)
    return decision


def model_to_proto(card: ModelCard, *, available: bool) -> Model:
    """Write a model."""
    model = Model(
        id=card.id,
        provider=card.provider,
        provider_model=card.name,
        display_name=card.display_name,
        capabilities=_numbers(card.capabilities, _CAPABILITIES),
        input_modalities=_numbers(card.input_modalities, _MODALITIES),
        output_modalities=_numbers(card.output_modalities, _MODALITIES),
        available=available,
    )
    if card.context_tokens is not None:
        model.context_tokens = card.context_tokens
    if card.max_output_tokens is not None:
        model.max_output_tokens = card.max_output_tokens
    return model


def alias_to_proto(alias: AliasCard, state: Snapshot) -> Model:
    """Write an alias as a model: it can do what any of its targets can."""
    cards = [state.card(target) for target in alias.targets]
    providers = [state.providers.get(target.provider) for target in alias.targets]
    return Model(
        id=alias.name,
        targets=[f"{target.provider}/{target.model}" for target in alias.targets],
        strategy=alias.strategy,
        capabilities=_numbers(frozenset().union(*(card.capabilities or () for card in cards)), _CAPABILITIES),
        input_modalities=_numbers(
            frozenset().union(*(card.input_modalities or () for card in cards)), _MODALITIES
        ),
        output_modalities=_numbers(
            frozenset().union(*(card.output_modalities or () for card in cards)), _MODALITIES
        ),
        available=any(provider is not None and not provider.missing for provider in providers),
    )


def provider_to_proto(provider: Provider, state: Snapshot, *, cooling: bool) -> ProviderMessage:
    """Write a provider with its state."""
    message = ProviderMessage(
        name=provider.name,
        dialect=provider.dialect,
        state=ProviderState.PROVIDER_STATE_READY,
        model_count=sum(card.provider == provider.name for card in state.models.values()),
    )
    if provider.missing:
        message.state = ProviderState.PROVIDER_STATE_NOT_CONFIGURED
        message.state_message = f"not configured: {', '.join(provider.missing)}"
    elif cooling:
        message.state = ProviderState.PROVIDER_STATE_COOLING_DOWN
        message.state_message = "recent calls failed; others are preferred for a while"
    return message


def _numbers(names: Iterable[str] | None, table: Mapping[str, Number]) -> list[Number]:
    return sorted(table[name] for name in names or () if name in table)
