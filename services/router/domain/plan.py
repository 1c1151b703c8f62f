"""From a request's needs to ordered targets, with a reason for every one that is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from services.dialects.registry import RELAY_ONLY
from services.router.domain.catalog import AliasCard, ModelCard, Snapshot, Target

Permits = Callable[[str], bool]
"""Whether the key may use a name: an alias or provider/model."""

Waits = Callable[[Target], float]
"""Seconds until a target may be tried again."""


class Why(Enum):
    """Reasons for exclusion; the same as llmhub.types.v1.ExclusionReason."""

    NOT_CONFIGURED = 1
    UNKNOWN_PROVIDER = 2
    CAPABILITY = 3
    DENIED = 4
    COOLING_DOWN = 5
    OPERATION = 6
    CONTEXT = 7


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request requires. `operation` is generate, embed or count_tokens."""

    operation: str = "generate"
    capabilities: frozenset[str] = frozenset()
    input_modalities: frozenset[str] = frozenset()
    input_tokens: int | None = None
    state_origins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Considered:
    """One target with its place in the plan, or why it has none."""

    target: Target
    rank: int | None
    exclusions: tuple[tuple[Why, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision: targets in order, then the excluded ones."""

    alias: AliasCard
    considered: tuple[Considered, ...] = field(default=())

    @property
    def targets(self) -> tuple[Target, ...]:
        """Targets to try, in order."""
        return tuple(entry.target for entry in self.considered if entry.rank is not None)


def make(snapshot: Snapshot, alias: AliasCard, needs: Needs, permits: Permits, waits: Waits) -> Plan:
    """Order an alias's targets. Cooling targets come last rather than not at all: a late answer beats none."""
    ready: list[Target] = []
    cooling: list[tuple[float, Target]] = []
    excluded: list[Considered] = []
    for target in alias.targets:
        reasons = tuple(_reasons(snapshot, alias, target, needs, permits))
        if reasons:
            excluded.append(Considered(target, None, reasons))
        elif (wait := waits(target)) > 0:
            cooling.append((wait, target))
        else:
            ready.append(target)
    # Reasoning state returns to where it came from, if that target is in the plan at all.
    ready.sort(key=lambda target: target.provider not in needs.state_origins)
    cooling.sort(key=lambda pair: pair[0])
    ordered = [(target, ()) for target in ready] + [
        (target, ((Why.COOLING_DOWN, f"cooling down for {wait:.1f} s"),)) for wait, target in cooling
    ]
    ranked = [Considered(target, rank, reasons) for rank, (target, reasons) in enumerate(ordered)]
    return Plan(alias, (*ranked, *excluded))


def _reasons(
    snapshot: Snapshot, alias: AliasCard, target: Target, needs: Needs, permits: Permits
) -> list[tuple[Why, str]]:
    provider = snapshot.providers.get(target.provider)
    if provider is None:
        return [(Why.UNKNOWN_PROVIDER, f"there is no provider {target.provider}")]
    reasons: list[tuple[Why, str]] = []
    if provider.missing:
        reasons.append((Why.NOT_CONFIGURED, f"not configured: {', '.join(provider.missing)}"))
    if not permits(alias.name) and not permits(f"{target.provider}/{target.model}"):
        reasons.append((Why.DENIED, "the key may not use it"))
    relayed = RELAY_ONLY.get(needs.operation)
    if relayed is not None and relayed not in provider.speech.of(target.model).relays:
        reasons.append((Why.OPERATION, f"it does not {needs.operation}"))
    if alias.strategy == "direct":
        # The caller named the model; whether it can do this is the provider's to say.
        return reasons
    card = snapshot.card(target)
    operation = _OPERATIONS.get(needs.operation)
    if operation is not None and card.capabilities is not None and operation not in card.capabilities:
        reasons.append((Why.OPERATION, f"it does not {needs.operation}"))
    reasons.extend(_shortfalls(card, needs))
    return reasons


_OPERATIONS = {"generate": "chat", "embed": "embedding"}
"""The capability an operation takes. Counting tokens is left to the attempt, which does it or refuses."""


def _shortfalls(card: ModelCard, needs: Needs) -> list[tuple[Why, str]]:
    out: list[tuple[Why, str]] = []
    if card.capabilities is not None:
        lacking = sorted(needs.capabilities - card.capabilities)
        out.extend((Why.CAPABILITY, f"it has no {name.replace('_', ' ')}") for name in lacking)
    if card.input_modalities is not None:
        refused = sorted(needs.input_modalities - card.input_modalities)
        out.extend((Why.CAPABILITY, f"it takes no {name}") for name in refused)
    if card.context_tokens is not None and (needs.input_tokens or 0) > card.context_tokens:
        out.append((Why.CONTEXT, f"{needs.input_tokens} tokens do not fit {card.context_tokens}"))
    return out
