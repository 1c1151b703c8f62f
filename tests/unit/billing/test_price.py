from datetime import UTC, datetime, timedelta, timezone

import pytest

from llmhub.types.v1 import route_pb2
from llmhub.usage.v1 import usage_service_pb2
from services.billing.domain.event import Outcome
from services.billing.domain.match import matches, with_dashed_dates
from services.billing.domain.price import Condition, ModelPrices, Period, Rate, TierPrices, Unit
from services.billing.ports import Group


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def priced(price: int) -> dict[Unit, Rate]:
    return {Unit.INPUT: Rate(price)}


PRICES = ModelPrices(
    "list:model",
    (
        Period(priced(1)),
        Period(priced(2), Condition("2026-03-01")),
        Period(priced(3), Condition("2026-06-01")),
        Period(priced(4), Condition(minutes=(60, 240))),
    ),
    (TierPrices("priority", {Unit.OUTPUT: Rate(9)}, Condition("2026-03-01")),),
)


@pytest.mark.parametrize(
    ("moment", "price"),
    [
        ("2026-02-28T23:59:59", 1),
        ("2026-03-01T00:00:00", 2),
        ("2026-05-31T12:00:00", 2),
        ("2026-06-01T00:00:00", 3),
        ("2026-06-01T01:00:00", 4),
        ("2026-06-01T03:59:59", 4),
        ("2026-06-01T04:00:00", 3),
    ],
)
def test_the_price_in_force_counts(moment: str, price: int) -> None:
    rates, _ = PRICES.in_force(at(moment))
    assert rates == priced(price)


def test_a_day_begins_at_midnight_utc() -> None:
    east = datetime(2026, 3, 1, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    assert PRICES.in_force(east)[0] == priced(1)


def test_a_window_may_cross_midnight() -> None:
    night = Condition(minutes=(22 * 60, 60))
    assert [night.holds(at(f"2026-01-01T{hour:02}:00:00")) for hour in (21, 22, 0, 1)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_service_tier_changes_what_it_names() -> None:
    rates, name = PRICES.in_force(at("2026-03-01T12:00:00"), "priority")
    assert rates == {Unit.INPUT: Rate(2), Unit.OUTPUT: Rate(9)}
    assert name == "list:model@1+priority"
    assert PRICES.in_force(at("2026-02-01T12:00:00"), "priority")[0] == priced(1)
    assert PRICES.in_force(at("2026-03-01T12:00:00"), "flex")[0] == priced(2)


@pytest.mark.parametrize(
    ("clause", "name", "found"),
    [
        ({"equals": "GPT-4o"}, "gpt-4o", True),
        ({"equals": "gpt-4o"}, "gpt-4o-mini", False),
        ({"starts_with": "gpt"}, "gpt-4o", True),
        ({"ends_with": "4o"}, "gpt-4o", True),
        ({"contains": "t-4"}, "gpt-4o", True),
        ({"regex": r"^o[134]"}, "o3", True),
        ({"regex": r"^o[134]"}, "gpt-o3", False),
        ({"any": [{"equals": "a"}, {"equals": "b"}]}, "b", True),
        ({"all": [{"starts_with": "a"}, {"ends_with": "b"}]}, "ac", False),
    ],
)
def test_clauses(clause: dict[str, object], name: str, found: bool) -> None:
    assert matches(clause, name) is found


def test_an_unknown_clause_is_no_silent_miss() -> None:
    with pytest.raises(ValueError, match="sounds_like"):
        matches({"sounds_like": "x"}, "x")


def test_compact_dates() -> None:
    assert with_dashed_dates("gpt-5.2-20251211") == "gpt-5.2-2025-12-11"
    assert with_dashed_dates("model-20251399") == "model-20251399"


def test_numbers_are_those_of_the_contract() -> None:
    assert {f"OUTCOME_{o.name}": o.value for o in Outcome} == dict(route_pb2.Outcome.items())
    dimensions = dict(usage_service_pb2.Dimension.items())
    assert {f"DIMENSION_{g.name}": g.value for g in Group} == {k: v for k, v in dimensions.items() if v}
