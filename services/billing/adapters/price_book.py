"""What attempts cost: the operator's prices laid over the vendored list."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.billing.adapters.snapshot import Snapshot
from services.billing.domain.event import MICROS, UsageEvent, booked
from services.billing.domain.override import Override, override_for
from services.billing.domain.price import ModelPrices
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
    published: ModelPrices | None
    override: Override | None


class SnapshotPriceBook:
    """A PriceBook. The snapshot is opened with the first question that the operator's prices do not answer."""

    def __init__(
        self,
        providers: Mapping[str, ProviderIdentity],
        overrides: Sequence[Override],
        open_snapshot: Callable[[], Snapshot] = Snapshot,
    ) -> None:
        self._providers = providers
        self._overrides = tuple(overrides)
        self._open_snapshot = open_snapshot
        self._snapshot: Snapshot | None = None
        self._found: dict[tuple[str, str, str], _Found] = {}

    def cost(self, event: UsageEvent) -> Cost:
        """The cost by the price in force when the attempt began."""
        identity = self._providers.get(event.provider, ProviderIdentity())
        found = self._look_up(event.provider, event.model, event.provider_model)
        if found.override is not None and found.override.free:
            return booked(event, free(found.override.name))
        if identity.dialect in FREE_DIALECTS and found.override is None:
            return booked(event, free(identity.dialect))
        names: list[str] = []
        rates = {}
        if found.published is not None:
            at = datetime.fromtimestamp(event.started_at // MICROS, UTC)
            published, name = found.published.in_force(at, event.usage.service_tier)
            rates = dict(published)
            names.append(name)
        if found.override is not None:
            rates |= found.override.rates
            names.append(found.override.name)
        if not rates:
            return UNKNOWN
        return booked(event, rate(event.usage, rates, "+".join(names)))

    def _look_up(self, provider: str, model: str, answered: str) -> _Found:
        key = (provider, model, answered)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[key] = self._search(provider, model, answered)
        return found

    def _search(self, provider: str, model: str, answered: str) -> _Found:
        override = override_for(self._overrides, provider, model)
        identity = self._providers.get(provider, ProviderIdentity())
        if (override is not None and override.free) or (
            override is None and identity.dialect in FREE_DIALECTS
        ):
            return _Found(None, override)
        if self._snapshot is None:
            self._snapshot = self._open_snapshot()
        vendor = identity.price_list or self._snapshot.vendor(provider, identity.dialect, identity.base_url)
        if vendor is None:
            return _Found(None, override)
        # The answer names the model exactly, where the request may have named a deployment or an alias.
        for name in (answered, model):
            published = self._snapshot.find(vendor, name.rpartition("models/")[2]) if name else None
            if published is not None:
                return _Found(published, override)
        return _Found(None, override)
