"""The vendored price list: one line of JSON per provider, parsed only when a price of it is asked for."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.billing.domain.match import Clause, matches, with_dashed_dates
from services.billing.domain.price import Condition, ModelPrices, Period, Rate, Rates, TierPrices, Unit

PRICES = Path(__file__).resolve().parent.parent / "prices"

_BY_DIALECT = {
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex": "google",
    "bedrock": "aws",
    "azure-openai": "azure",
    "cohere": "cohere",
}
"""Vendors whose dialect nobody else is expected to speak at an unknown address."""


@dataclass(frozen=True, slots=True)
class _Vendor:
    line: int
    id: str
    address: re.Pattern[str]
    match: Clause | None
    fallback: tuple[str, ...]


class Snapshot:
    """Finds a model's prices. Only the index stays in memory: every search reads the file again."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or max(PRICES.glob("snapshot-*.json"))
        self._vendors: dict[str, _Vendor] = {}
        with self._path.open() as lines:
            for number, line in enumerate(lines):
                entry = _entry(line)
                if entry is not None and "source" in entry:
                    self.name = f"{entry['source']}-{entry['version']}"
                elif entry is not None:
                    self._vendors[entry["id"]] = _Vendor(
                        number,
                        entry["id"],
                        re.compile(entry["api_pattern"]),
                        entry["match"],
                        tuple(entry["fallback"]),
                    )

    def vendor(self, name: str, dialect: str, base_url: str) -> str | None:
        """Whose list holds for a configured provider: by address, then by name, then by dialect."""
        if base_url:
            for vendor in self._vendors.values():
                if vendor.address.match(base_url):
                    return vendor.id
        name = name.lower()
        if name in self._vendors:
            return name
        for vendor in self._vendors.values():
            if vendor.match is not None and matches(vendor.match, name):
                return vendor.id
        return _BY_DIALECT.get(dialect)

    def find(self, vendor: str, model: str) -> ModelPrices | None:
        """The prices of a model in a vendor's list or, failing that, in the lists of those whose models it resells."""
        if vendor not in self._vendors:
            return None
        model = model.lower()
        return self._find(vendor, model) or self._find(vendor, with_dashed_dates(model))

    def _find(self, vendor: str, model: str) -> ModelPrices | None:
        for candidate in (vendor, *self._vendors[vendor].fallback):
            if candidate in self._vendors:
                for entry in self._models(candidate):
                    if matches(entry["match"], model):
                        return _prices(f"{self.name}:{candidate}/{entry['id']}", entry)
        return None

    def _models(self, vendor: str) -> Iterable[dict[str, Any]]:
        wanted = self._vendors[vendor].line
        with self._path.open() as lines:
            for number, line in enumerate(lines):
                if number == wanted:
                    entry = _entry(line)
                    return entry["models"] if entry is not None else ()
        return ()


def _entry(line: str) -> dict[str, Any] | None:
    line = line.strip().rstrip(",")
    if not line.startswith("{"):
        return None
    entry: dict[str, Any] = json.loads(line)
    return entry


def _prices(name: str, entry: dict[str, Any]) -> ModelPrices | None:
    periods = tuple(Period(_rates(period["rates"]), _condition(period)) for period in entry["periods"])
    if not any(period.rates for period in periods):
        return None
    tiers = tuple(
        TierPrices(tier["tier"], _rates(tier["rates"]), _condition(tier)) for tier in entry.get("tiers", ())
    )
    return ModelPrices(name, periods, tiers)


def _condition(entry: dict[str, Any]) -> Condition:
    minutes = entry.get("minutes")
    return Condition(entry.get("from", ""), None if minutes is None else (minutes[0], minutes[1]))


def _rates(entry: dict[str, Any]) -> Rates:
    return {Unit(unit): _rate(price) for unit, price in entry.items()}


def _rate(price: Any) -> Rate:
    if isinstance(price, int):
        return Rate(price)
    base, *tiers = price
    return Rate(base, tuple((start, tier) for start, tier in tiers))
