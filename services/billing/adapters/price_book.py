"""What attempts cost: the operator's prices laid over the vendored list."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.billing.adapters.snapshot import Snapshot
from services.billing.domain.event import MICROS, UsageEvent, booked
from services.billing.domain.override import Override, override_for
from services.billing.domain.price import ModelPrices, Rates
from services.billing.domain.rate import UNKNOWN, Cost, free, rate

_REMEMBERED = 4096
FREE_DIALECTS = frozenset({"sim"})
"""Nobody is billed for what was never bought."""


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """What is known of a configured provider."""

    dialect: str = ""
    base_url: str = ""
    price_list: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """The prices of one model; `constant` are its rates where neither time nor service tier changes them."""

    published: ModelPrices | None
    override: Override | None
    constant: tuple[Rates, str] | None = None

    def at(self, event: UsageEvent) -> tuple[Rates, str]:
        """The rates in force when the attempt began, and their name."""
        if self.published is None:
            return self._laid_over({}, "")
        at = datetime.fromtimestamp(event.started_at // MICROS, UTC)
        return self._laid_over(*self.published.in_force(at, event.usage.service_tier))

    def _laid_over(self, rates: Rates, name: str) -> tuple[Rates, str]:
        if self.override is None:
            return rates, name
        return {**rates, **self.override.rates}, f"{name}+{self.override.name}".removeprefix("+")


@dataclass(frozen=True, slots=True)
class _Terms:
    """One state of the settings, with what was found under it."""

    providers: Mapping[str, ProviderIdentity]
    overrides: tuple[Override, ...]
    found: dict[tuple[str, str, str, str], _Found] = field(default_factory=dict)

    def identity(self, provider: str) -> ProviderIdentity:
        return self.providers.get(provider, _NOBODY)

    def is_free(self, provider: str, override: Override | None) -> str:
        """What makes a provider's model free, if anything does."""
        if override is not None:
            return override.name if override.free else ""
        dialect = self.identity(provider).dialect
        return dialect if dialect in FREE_DIALECTS else ""


_NOBODY = ProviderIdentity()


class SnapshotPriceBook:
    """A PriceBook. The snapshot is opened with the first question that the operator's prices do not answer."""

    def __init__(
        self,
        providers: Mapping[str, ProviderIdentity],
        overrides: Sequence[Override],
        open_snapshot: Callable[[], Snapshot] = Snapshot,
    ) -> None:
        self._terms = _Terms(providers, tuple(overrides))
        self._open_snapshot = open_snapshot
        self._snapshot: Snapshot | None = None

    def use(self, providers: Mapping[str, ProviderIdentity], overrides: Sequence[Override]) -> None:
        """Price what arrives from now on by other settings. Safe from any thread."""
        self._terms = _Terms(providers, tuple(overrides))

    def cost(self, event: UsageEvent) -> Cost:
        """The cost by the price in force when the attempt began."""
        terms = self._terms
        found = self._look_up(terms, event)
        reason = terms.is_free(event.provider, found.override)
        if reason:
            return booked(event, free(reason))
        rates, name = found.constant or found.at(event)
        if not rates:
            return UNKNOWN
        return booked(event, rate(event.usage, rates, name))

    def _look_up(self, terms: _Terms, event: UsageEvent) -> _Found:
        tier = event.usage.service_tier
        key = (event.provider, event.model, event.provider_model, tier)
        found = terms.found.get(key)
        if found is None:
            if len(terms.found) >= _REMEMBERED:
                terms.found.clear()
            found = self._search(terms, event)
            if found.published is None or found.published.is_constant(tier):
                found = replace(found, constant=found.at(event))
            terms.found[key] = found
        return found

    def _search(self, terms: _Terms, event: UsageEvent) -> _Found:
        override = override_for(terms.overrides, event.provider, event.model)
        if terms.is_free(event.provider, override):
            return _Found(None, override)
        if self._snapshot is None:
            self._snapshot = self._open_snapshot()
        identity = terms.identity(event.provider)
        vendor = identity.price_list
        vendor = vendor or self._snapshot.vendor(event.provider, identity.dialect, identity.base_url) or ""
        # The answer names the model exactly, where the request may have named a deployment or an alias.
        for name in (event.provider_model, event.model):
            published = self._snapshot.find(vendor, name.rpartition("models/")[2])
            if published is not None:
                return _Found(published, override)
        return _Found(None, override)
