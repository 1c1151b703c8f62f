from decimal import Decimal

import pytest
from genai_prices import data, types

from tools.import_prices import PRICES, Import, compare, flat, read


def test_the_vendored_list_is_that_of_the_installed_package() -> None:
    (path,) = PRICES.glob("snapshot-*.json")
    assert read(path) == [Import().provider(provider) for provider in data.providers]


def test_prices_come_from_text_exactly() -> None:
    assert Import().pico("m", "input_mtok", Decimal("0.15"), 10**6) == 150_000
    with pytest.raises(TypeError):
        Import().pico("m", "input_mtok", 0.15, 10**6)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="too fine"):
        Import().pico("m", "input_mtok", Decimal("0.0000015"), 10**6)


def test_noise_of_the_source_is_rounded_and_said() -> None:
    imported = Import()
    assert imported.pico("m", "input_mtok", Decimal("0.18000000000000002"), 10**6) == 180_000
    assert imported.rounded == ["m input_mtok 0.18000000000000002"]


def test_what_vanishes_or_becomes_zero_needs_consent() -> None:
    old = {"a": 1, "b": 2, "c": 3, "d": [4, [10, 5]], "e": 0}
    new = {"a": 1, "b": 0, "d": [4, [10, 0]], "e": 0, "f": 6}
    alarms, rest = compare(old, new)
    assert [line.split()[:2] for line in alarms] == [["VANISHED", "c:"], ["ZERO", "b:"], ["ZERO", "d:"]]
    assert rest == ["new f: 6"]


def test_every_price_has_a_name_of_its_own() -> None:
    model = types.ModelInfo(
        "m",
        types.ClauseEquals("m"),
        prices=types.ModelPrice(input_mtok=Decimal(1)),
        price_variants=[
            types.PriceVariant({"service_tier": "flex"}, types.ModelPrice(input_mtok=Decimal(2)))
        ],
    )
    provider = types.Provider("p", "P", "https://p", models=[model])
    assert flat([Import().provider(provider)]) == {
        "p/m always input": 1_000_000,
        "p/m always flex input": 2_000_000,
    }
