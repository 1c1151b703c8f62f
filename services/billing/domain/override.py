"""What the operator says about prices; it goes before what is published."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from services.billing.domain.price import Rates


@dataclass(frozen=True, slots=True)
class Override:
    """Prices for the models of a pattern: declared free, or rates that replace the published ones unit by unit."""

    name: str
    provider: str = "*"
    model: str = "*"
    free: bool = False
    rates: Rates = field(default_factory=dict)

    def covers(self, provider: str, model: str) -> bool:
        """Whether a model is meant; `*` and `?` are wild."""
        return fnmatchcase(provider, self.provider) and fnmatchcase(model, self.model)


def override_for(overrides: Iterable[Override], provider: str, model: str) -> Override | None:
    """The first one that covers the model."""
    return next((override for override in overrides if override.covers(provider, model)), None)
