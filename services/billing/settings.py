"""Resolved settings of billing."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.billing.domain.money import PER_MILLION, PER_THOUSAND, pico_per_one
from services.billing.domain.override import Override
from services.billing.domain.price import Rate, Unit

_PER_THOUSAND = frozenset({Unit.WEB_SEARCH, Unit.FILE_SEARCH, Unit.CODE_EXECUTION, Unit.REQUEST})


class PriceOverride(BaseModel):
    """Prices of the operator for the models of a pattern."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str = "*"
    model: str = "*"
    """As the provider names it; `*` and `?` are wild."""
    free: bool = False
    prices: dict[Unit, Annotated[str, StringConstraints(strict=True)]] = Field(default_factory=dict)
    """USD as decimal strings, per million tokens; per thousand for web_search, file_search, code_execution, request."""

    @model_validator(mode="after")
    def _free_or_priced(self) -> Self:
        if self.free == bool(self.prices):
            raise ValueError("give either free: true or prices")
        self.to_override(0)
        return self

    def to_override(self, index: int) -> Override:
        """The domain's form. Raises ValueError on a text that is no exact price."""
        rates = {
            unit: Rate(pico_per_one(text, PER_THOUSAND if unit in _PER_THOUSAND else PER_MILLION))
            for unit, text in self.prices.items()
        }
        return Override(f"override:{index}", self.provider, self.model, self.free, rates)


class PricedProvider(BaseModel):
    """What decides whose prices hold for a provider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dialect: str = ""
    base_url: str = ""
    price_list: str = ""
    """Id of a provider in the price snapshot; empty: found by base_url, name and dialect."""


class BillingSettings(BaseModel):
    """Where usage is kept and what it costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: Path
    database_url: str = ""
    """Empty: the file billing.db in data_dir."""
    providers: dict[str, PricedProvider] = Field(default_factory=dict)
    overrides: tuple[PriceOverride, ...] = ()
    """The first that covers a model counts."""

    @property
    def url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'billing.db'}"
