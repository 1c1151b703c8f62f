from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from llmhub.types.v1.usage_pb2 import Usage
from services.billing.adapters.price_book import ProviderIdentity, SnapshotPriceBook
from services.billing.adapters.snapshot import Snapshot
from services.billing.app import price_book
from services.billing.domain.event import MICROS, UsageEvent
from services.billing.domain.price import PriceState
from services.billing.settings import BillingSettings, PricedProvider, PriceOverride
from tests.adapters.billing.usage_records import batch, finished

MILLION = Usage(input_tokens=1_000_000)


def event(provider: str, model: str, usage: Usage = MILLION, at: datetime | None = None) -> UsageEvent:
    seconds = int((at or datetime(2026, 11, 21, tzinfo=UTC)).timestamp())
    made = (
        batch([finished("a", 1, provider=provider, model=model, usage=usage, at=seconds)]).arrivals[0].event
    )
    assert made is not None
    assert made.started_at == seconds * MICROS
    return made


def book(
    providers: Mapping[str, ProviderIdentity] | None = None, *overrides: PriceOverride
) -> SnapshotPriceBook:
    made = tuple(override.to_override(index) for index, override in enumerate(overrides))
    return SnapshotPriceBook(providers or {}, made)


WHOSE = [
    ("openai", "openai", "https://api.openai.com/v1", "openai"),
    ("openai", "openai", "http://127.0.0.1:9999/v1", "openai"),
    ("fast", "openai", "https://api.groq.com/openai/v1", "groq"),
    ("groq", "openai", "https://api.openai.com/v1", "openai"),
    ("mine", "openai", "http://127.0.0.1:8000/v1", None),
    ("claude", "anthropic", "http://127.0.0.1:9999", "anthropic"),
    ("z", "anthropic", "https://api.z.ai/api/anthropic", "zai"),
    ("g", "gemini", "https://generativelanguage.googleapis.com", "google"),
    ("b", "bedrock", "", "aws"),
    ("corp", "azure-openai", "https://corp.openai.azure.com", "azure"),
    ("ollama", "ollama", "http://127.0.0.1:11434", None),
]


@pytest.mark.parametrize(("name", "dialect", "base_url", "vendor"), WHOSE)
def test_whose_prices_hold(name: str, dialect: str, base_url: str, vendor: str | None) -> None:
    assert Snapshot().vendor(name, dialect, base_url) == vendor


def test_a_model_is_found_by_what_the_answer_names() -> None:
    prices = book({"corp": ProviderIdentity("azure-openai", "https://corp.openai.azure.com")})
    call = event("corp", "my-deployment")
    assert prices.cost(call).state is PriceState.UNKNOWN
    entry = finished("a", 1, provider="corp", model="my-deployment", usage=MILLION)
    entry.finish.provider_model = "gpt-4o-mini-2024-07-18"
    answered = batch([entry]).arrivals[0].event
    assert answered is not None
    assert prices.cost(answered).nano == 150_000_000


def test_the_price_of_the_day_counts() -> None:
    before, after = (
        book().cost(event("deepseek", "deepseek-v4-pro", at=datetime(2026, month, 1, 20, tzinfo=UTC)))
        for month in (8, 9)
    )
    assert (before.nano, after.nano) == (435_000_000, 660_000_000)


def test_an_override_lies_over_the_list() -> None:
    prices = book(
        None,
        PriceOverride(provider="openai", model="gpt-4o-mini", prices={"output": "1.5"}),
        PriceOverride(provider="openai", free=True),
        PriceOverride(model="llama*", prices={"input": "0.000001"}),
    )
    both = prices.cost(event("openai", "gpt-4o-mini", Usage(input_tokens=1_000_000, output_tokens=1_000_000)))
    assert both.nano == 150_000_000 + 1_500_000_000
    assert both.price.endswith("gpt-4o-mini+override:0")
    assert prices.cost(event("openai", "gpt-4o")).state is PriceState.FREE
    assert prices.cost(event("anywhere", "llama-9")).nano == 1000


def test_settings_change_while_it_runs() -> None:
    prices = book()
    assert prices.cost(event("mine", "m")).state is PriceState.UNKNOWN
    prices.use({}, (PriceOverride(provider="mine", free=True).to_override(0),))
    assert prices.cost(event("mine", "m")).state is PriceState.FREE


def test_what_is_free_opens_no_list() -> None:
    def never() -> Snapshot:
        raise AssertionError("the list was opened")

    prices = SnapshotPriceBook({"sim": ProviderIdentity("sim")}, (), never)
    assert prices.cost(event("sim", "echo")).state is PriceState.FREE


def test_a_service_tier_has_its_price() -> None:
    tier = Usage(input_tokens=1_000_000, service_tier="priority")
    assert book().cost(event("openai", "gpt-4o-mini", tier)).nano == 250_000_000


@pytest.mark.parametrize(
    "override",
    [
        {"prices": {"input": 0.15}},
        {"prices": {"input": "cheap"}},
        {"prices": {"input": "-1"}},
        {"prices": {"inputs": "1"}},
        {"free": True, "prices": {"input": "1"}},
        {},
    ],
)
def test_settings_that_mean_nothing_exact_are_refused(override: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        BillingSettings.model_validate({"data_dir": tmp_path, "overrides": [override]})


def test_settings_reach_the_book(tmp_path: Path) -> None:
    settings = BillingSettings(
        data_dir=tmp_path,
        providers={"x": PricedProvider(price_list="anthropic"), "sim": PricedProvider(dialect="sim")},
    )
    prices = price_book(settings)
    assert prices.cost(event("x", "claude-sonnet-4-5")).nano == 6_000_000_000
    assert prices.cost(event("sim", "echo")).state is PriceState.FREE
