from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.money import nano_from_pico, pico_per_one, units_and_nanos
from services.billing.domain.price import PriceState, Rate, Unit
from services.billing.domain.rate import rate
from services.billing.domain.usage import Modality, Share, TokenClass, Tokens, Usage

counts = st.none() | st.integers(0, 1 << 40)
tokens = st.builds(Tokens, *([counts] * 8))
prices = st.integers(0, 10**9)
ALL = (Unit.INPUT, Unit.CACHE_READ, Unit.CACHE_WRITE_5M, Unit.CACHE_WRITE_1H, Unit.CACHE_WRITE, Unit.OUTPUT)
CLASSES = (*ALL, Unit.REASONING, Unit.TOOL_PROMPT)


@given(tokens, st.lists(prices, min_size=8, max_size=8))
def test_the_cost_is_the_sum_over_disjoint_classes(used: Tokens, per_class: list[int]) -> None:
    rates = {unit: Rate(price) for unit, price in zip(CLASSES, per_class, strict=True)}
    cost = rate(Usage(used), rates)
    exact = sum((count or 0) * price for count, price in zip(used.counts(), per_class, strict=True))
    assert cost.pico == exact
    assert cost.nano is not None
    assert abs(Fraction(exact, 1000) - cost.nano) <= Fraction(1, 2)


@given(st.integers(-(10**15), 10**15))
def test_rounding_is_half_even(pico: int) -> None:
    assert nano_from_pico(pico) == round(Fraction(pico, 1000))


@given(st.integers(-(10**18), 10**18))
def test_money_splits_into_parts_of_one_sign(nano: int) -> None:
    units, nanos = units_and_nanos(nano)
    assert units * 10**9 + nanos == nano
    assert abs(nanos) < 10**9
    assert units * nanos >= 0


@given(st.integers(0, 10**12))
def test_a_decimal_text_becomes_exactly_its_pico(pico: int) -> None:
    text = f"{pico // 10**6}.{pico % 10**6:06}"
    assert pico_per_one(text, 10**6) == pico


@pytest.mark.parametrize(
    "text", ["", "free", "-1", "NaN", "Infinity", "0.0000001", "1e400000", "1e-99999999", "1_0.5x"]
)
def test_what_is_no_exact_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"price|decimal|whole"):
        pico_per_one(text, 10**6)


FALLBACKS = [
    (Tokens(cache_read=10), {Unit.INPUT: 3}, 30),
    (Tokens(cache_read=10), {Unit.INPUT: 3, Unit.CACHE_READ: 1}, 10),
    (Tokens(cache_write_5m=10), {Unit.INPUT: 3, Unit.CACHE_WRITE: 4}, 40),
    (Tokens(cache_write_1h=10), {Unit.CACHE_WRITE: 4, Unit.CACHE_WRITE_1H: 6}, 60),
    (Tokens(cache_write=10), {Unit.INPUT: 3}, 30),
    (Tokens(reasoning=10), {Unit.OUTPUT: 5}, 50),
    (Tokens(reasoning=10), {Unit.OUTPUT: 5, Unit.REASONING: 2}, 20),
    (Tokens(tool_prompt=10), {Unit.INPUT: 3}, 30),
]


@pytest.mark.parametrize(("used", "rates", "pico"), FALLBACKS)
def test_a_class_without_a_price_takes_its_parents(used: Tokens, rates: dict[Unit, int], pico: int) -> None:
    assert rate(Usage(used), {unit: Rate(price) for unit, price in rates.items()}).pico == pico


def test_a_used_class_without_any_price_makes_the_cost_unknown() -> None:
    cost = rate(Usage(Tokens(input=5, output=1)), {Unit.INPUT: Rate(3)})
    assert (cost.state, cost.pico, cost.nano) == (PriceState.UNKNOWN, None, None)
    assert rate(Usage(Tokens(input=5, output=0)), {Unit.INPUT: Rate(3)}).pico == 15


MODAL = {Unit.INPUT: Rate(1), Unit.INPUT_AUDIO: Rate(10), Unit.CACHE_READ: Rate(2), Unit.OUTPUT: Rate(3)}


def test_a_modality_with_a_price_is_taken_out_of_its_class() -> None:
    audio = Share(TokenClass.INPUT, Modality.AUDIO, 40)
    image = Share(TokenClass.INPUT, Modality.IMAGE, 20)
    cached = Share(TokenClass.CACHE_READ, Modality.AUDIO, 5)
    usage = Usage(Tokens(input=100, cache_read=7), (audio, image, cached))
    assert rate(usage, MODAL).pico == 40 * 10 + 60 * 1 + 7 * 2


def test_shares_never_exceed_their_class() -> None:
    shares = (Share(TokenClass.INPUT, Modality.AUDIO, 80), Share(TokenClass.INPUT, Modality.AUDIO, 80))
    assert rate(Usage(Tokens(input=100), shares), MODAL).pico == 100 * 10


@pytest.mark.parametrize(("read", "price"), [(200_000, 3), (200_001, 6), (400_001, 9)])
def test_a_long_prompt_pays_its_tier_for_all_of_it(read: int, price: int) -> None:
    rates = {Unit.INPUT: Rate(3, ((200_000, 6), (400_000, 9))), Unit.CACHE_READ: Rate(0)}
    usage = Usage(Tokens(input=10, cache_read=read - 10))
    assert rate(usage, rates).pico == 10 * price


def test_tools_and_requests_count_where_they_have_a_price() -> None:
    rates = {Unit.INPUT: Rate(1), Unit.WEB_SEARCH: Rate(1000), Unit.REQUEST: Rate(50)}
    usage = Usage(Tokens(input=1), tool_calls=(("code_execution", 4), ("web_search_requests", 2)))
    assert rate(usage, rates).pico == 1 + 2000 + 50
    assert rate(Usage(), rates).pico == 0


@pytest.mark.parametrize("count", [-1, (1 << 40) + 1])
def test_impossible_counts_are_faults(count: int) -> None:
    assert Usage(Tokens(output=count)).fault()
    assert Usage(tool_calls=(("web_search", count),)).fault()
    assert Usage(Tokens(output=1 << 40)).fault() is None
