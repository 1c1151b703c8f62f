"""Vendor the prices of the installed genai-prices package as integers, and show what changes.

    python tools/import_prices.py [--date YYYY-MM-DD] [--accept]

Exits with 1, and writes nothing, where a price would vanish or become zero, unless told --accept.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from genai_prices import data, types
from genai_prices.data_units import unit_data
from genai_prices.units import UnitRegistry

PRICES = Path(__file__).resolve().parent.parent / "services" / "billing" / "prices"
PICO = 10**12
LARGEST_ROUNDING = Decimal("0.00002")
"""Relative; what a price may lose by being a whole number of pico-USD."""

UNITS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_5m_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "input_tool_mtok": "tool_prompt",
    "input_image_mtok": "input_image",
    "input_audio_mtok": "input_audio",
    "input_video_mtok": "input_video",
    "cache_image_read_mtok": "cache_read_image",
    "cache_audio_read_mtok": "cache_read_audio",
    "cache_video_read_mtok": "cache_read_video",
    "output_image_mtok": "output_image",
    "output_audio_mtok": "output_audio",
    "output_video_mtok": "output_video",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "code_executions_kcount": "code_execution",
    "requests_kcount": "request",
}
CLAUSES = {
    types.ClauseEquals: ("equals", "equals"),
    types.ClauseStartsWith: ("starts_with", "starts_with"),
    types.ClauseEndsWith: ("ends_with", "ends_with"),
    types.ClauseContains: ("contains", "contains"),
    types.ClauseRegex: ("regex", "regex"),
}


@dataclass
class Import:
    """What was met on the way."""

    rounded: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    registry: UnitRegistry = field(default_factory=lambda: UnitRegistry(unit_data))

    def provider(self, provider: types.Provider) -> dict[str, Any]:
        re.compile(provider.api_pattern)
        models = [self.model(provider.id, model) for model in provider.models]
        return {
            "id": provider.id,
            "api_pattern": provider.api_pattern,
            "match": clause(provider.provider_match) if provider.provider_match else None,
            "fallback": provider.fallback_model_providers or [],
            "models": models,
        }

    def model(self, provider: str, model: types.ModelInfo) -> dict[str, Any]:
        name = f"{provider}/{model.id}"
        if isinstance(model.prices, list):
            periods = [{**condition(p.constraint), "rates": self.rates(name, p.prices)} for p in model.prices]
        else:
            periods = [{"rates": self.rates(name, model.prices)}]
        converted: dict[str, Any] = {"id": model.id, "match": clause(model.match), "periods": periods}
        tiers = [
            {"tier": v.when["service_tier"], **condition(v.constraint), "rates": self.rates(name, v.prices)}
            for v in model.price_variants or ()
            if set(v.when) == {"service_tier"} and any(value is not None for value in vars(v.prices).values())
        ]
        if tiers:
            converted["tiers"] = tiers
        return converted

    def rates(self, name: str, prices: types.ModelPrice) -> dict[str, Any]:
        converted: dict[str, Any] = {}
        for key, value in vars(prices).items():
            if value is None:
                continue
            if key not in UNITS:
                self.skipped[key] = self.skipped.get(key, 0) + 1
                continue
            per = self.registry.unit_for_price_key(key).per
            if isinstance(value, types.TieredPrices):
                tiers = [[tier.start, self.pico(name, key, tier.price, per)] for tier in value.tiers]
                converted[UNITS[key]] = [self.pico(name, key, value.base, per), *tiers]
            else:
                converted[UNITS[key]] = self.pico(name, key, value, per)
        return converted

    def pico(self, name: str, key: str, price: Decimal, per: int) -> int:
        if not isinstance(price, Decimal):
            raise TypeError(f"{name} {key}: {price!r} is no Decimal, so it may have been a float")
        exact = price * PICO / per
        whole = exact.to_integral_value(ROUND_HALF_EVEN)
        if whole != exact:
            if abs(whole - exact) > LARGEST_ROUNDING * exact:
                raise ValueError(f"{name} {key}: {price} is too fine for pico-USD")
            self.rounded.append(f"{name} {key} {price}")
        return int(whole)


def clause(source: Any) -> dict[str, Any]:
    if isinstance(source, types.ClauseOr):
        return {"any": [clause(inner) for inner in source.or_]}
    if isinstance(source, types.ClauseAnd):
        return {"all": [clause(inner) for inner in source.and_]}
    kind, attribute = CLAUSES[type(source)]
    text: str = getattr(source, attribute)
    if kind == "regex":
        re.compile(text)
    return {kind: text}


def condition(source: Any) -> dict[str, Any]:
    if source is None:
        return {}
    if isinstance(source, types.StartDateConstraint):
        return {"from": source.start_date.isoformat()}
    start, end = (_minute(moment) for moment in (source.start_time, source.end_time))
    return {"minutes": [start, end]}


def _minute(moment: Any) -> int:
    if moment.second or (moment.tzinfo is not None and moment.tzinfo.utcoffset(None)):
        raise ValueError(f"a time of day that is no whole minute in UTC: {moment}")
    return int(moment.hour * 60 + moment.minute)


def flat(providers: list[dict[str, Any]]) -> dict[str, Any]:
    """Every price by a name."""
    return dict(_flat(providers))


def _flat(providers: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for provider in providers:
        for model in provider["models"]:
            for period in model["periods"]:
                yield from _rates(provider, model, period)
            for tier in model.get("tiers", ()):
                yield from _rates(provider, model, tier)


def _rates(
    provider: dict[str, Any], model: dict[str, Any], prices: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    when = prices.get("from") or str(prices.get("minutes", "always"))
    tier = f" {prices['tier']}" if "tier" in prices else ""
    for unit, price in prices["rates"].items():
        yield f"{provider['id']}/{model['id']} {when}{tier} {unit}", price


def compare(old: dict[str, Any], new: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Differences for people: those that need consent, and the others."""
    alarms = [f"VANISHED {name}: was {old[name]}" for name in sorted(old.keys() - new.keys())]
    alarms += [
        f"ZERO {name}: was {old[name]}"
        for name in sorted(old.keys() & new.keys())
        if _zero(new[name]) and not _zero(old[name])
    ]
    rest = [f"new {name}: {new[name]}" for name in sorted(new.keys() - old.keys())]
    rest += [
        f"changed {name}: {old[name]} -> {new[name]}"
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name] and not (_zero(new[name]) and not _zero(old[name]))
    ]
    return alarms, rest


def _zero(price: Any) -> bool:
    return price == 0 if isinstance(price, int) else price[0] == 0 or any(tier[1] == 0 for tier in price[1:])


def read(path: Path) -> list[dict[str, Any]]:
    """The providers of a snapshot."""
    entries: list[dict[str, Any]] = json.loads(path.read_text())
    return entries[1:]


def write(path: Path, header: dict[str, Any], providers: list[dict[str, Any]]) -> None:
    """One line per provider, so that a reader can take one without parsing the others."""
    lines = [json.dumps(entry, separators=(",", ":"), ensure_ascii=True) for entry in (header, *providers)]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--date", default=datetime.now(UTC).date().isoformat())
    parser.add_argument("--accept", action="store_true", help="write although prices vanish or become zero")
    parser.add_argument("--into", type=Path, default=PRICES)
    arguments = parser.parse_args()
    package = distribution("genai-prices")
    imported = Import()
    providers = [imported.provider(provider) for provider in data.providers]
    previous = sorted(arguments.into.glob("snapshot-*.json"))
    alarms, rest = compare(flat(read(previous[-1])) if previous else {}, flat(providers))
    for line in rest[:50] + ([f"… and {len(rest) - 50} more"] if len(rest) > 50 else []) + alarms:
        print(line)
    for line in imported.rounded:
        print(f"rounded {line}")
    print(f"{len(flat(providers))} prices; units without a use here: {imported.skipped}")
    if alarms and not arguments.accept:
        print(
            f"{len(alarms)} prices would vanish or become zero: nothing written; look, then use --accept",
            file=sys.stderr,
        )
        return 1
    header = {"source": "genai-prices", "version": package.version, "date": arguments.date}
    target = arguments.into / f"snapshot-{arguments.date}.json"
    write(target, header, providers)
    for old in previous:
        if old != target:
            old.unlink()
    (licence,) = [file for file in package.files or () if file.name == "LICENSE"]
    shutil.copy(str(package.locate_file(licence)), arguments.into / "LICENSE.genai-prices")
    return 0


if __name__ == "__main__":
    sys.exit(main())
