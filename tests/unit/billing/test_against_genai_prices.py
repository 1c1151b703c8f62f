"""The package that the snapshot comes from is the oracle: same names found, same sums."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import data, types

from services.billing.adapters.snapshot import Snapshot
from services.billing.domain.price import PriceState
from services.billing.domain.rate import rate
from services.billing.domain.usage import Tokens, Usage

MOMENTS = [
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2026, 10, 20, 2, 30, tzinfo=UTC),
    datetime(2026, 11, 21, 17, tzinfo=UTC),
]
PROVIDERS = [p for p in data.providers if p.id != "openrouter"]
TOKENS = Tokens(input=1000, cache_read=333, cache_write_1h=77, cache_write=101, output=55, reasoning=13)
LONG = Tokens(input=300_001, output=7)
PROMPT_ONLY = Tokens(input=12_345)
ROUNDED = Decimal("0.00003")


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return Snapshot()


def texts(clause: Any) -> Iterator[str]:
    for inner in getattr(clause, "or_", None) or getattr(clause, "and_", None) or ():
        yield from texts(inner)
    for attribute in ("equals", "starts_with", "ends_with", "contains"):
        if hasattr(clause, attribute):
            text = getattr(clause, attribute)
            yield text
            yield text + "-20260101"
            yield "x/" + text


def asked(provider: types.Provider) -> list[str]:
    found = {m.id for m in provider.models} | {t for m in provider.models for t in texts(m.match)}
    return sorted(found)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.id)
def test_the_same_model_at_the_same_price(
    provider: types.Provider, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: dict[str, list[dict[str, Any]]] = {}
    original = Snapshot._models
    monkeypatch.setattr(
        Snapshot, "_models", lambda self, vendor: models.setdefault(vendor, list(original(self, vendor)))
    )
    compared: dict[str, int] = {}
    for name in asked(provider):
        theirs = provider.find_model(name, all_providers=data.providers)
        ours = snapshot.find(provider.id, name)
        if theirs is None:
            assert ours is None, name
        elif ours is not None:
            assert ours.name.endswith("/" + theirs.id), name
            if ours.name not in compared:
                compared[ours.name] = sum(
                    same_price(theirs, ours, at, tier) for at in MOMENTS for tier in ("", "priority", "flex")
                )
    assert sum(compared.values()) > 0 or provider.id == "elevenlabs"  # bills by the hour


def same_price(theirs: types.ModelInfo, ours: Any, at: datetime, tier: str) -> int:
    rates, name = ours.in_force(at, tier)
    compared = 0
    for tokens in (TOKENS, LONG, PROMPT_ONLY):
        cost = rate(Usage(tokens), rates, name)
        prices = theirs.get_prices(at, {"service_tier": tier} if tier else None)
        if cost.state is PriceState.UNKNOWN:
            continue
        assert cost.pico is not None
        expected = (
            prices.calc_price(
                types.Usage(
                    input_tokens=tokens.prompt(),
                    cache_read_tokens=tokens.cache_read or 0,
                    cache_write_tokens=(tokens.cache_write or 0) + (tokens.cache_write_1h or 0),
                    cache_write_1h_tokens=tokens.cache_write_1h or 0,
                    output_tokens=(tokens.output or 0) + (tokens.reasoning or 0),
                    output_reasoning_tokens=tokens.reasoning or 0,
                )
            )["total_price"]
            * 10**12
        )
        assert abs(cost.pico - expected) <= ROUNDED * expected, (theirs.id, at, tier)
        if expected == expected.to_integral_value() and "together" not in ours.name:
            assert cost.pico == expected, (theirs.id, at, tier)
        compared += 1
    return compared
