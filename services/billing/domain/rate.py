"""Usage times price, exactly."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.billing.domain.money import nano_from_pico
from services.billing.domain.price import PriceState, Rates, Unit
from services.billing.domain.usage import Modality, TokenClass, Usage

_FALLBACKS: dict[Unit, tuple[Unit, ...]] = {
    Unit.INPUT: (),
    Unit.CACHE_READ: (Unit.INPUT,),
    Unit.CACHE_WRITE: (Unit.CACHE_WRITE_5M, Unit.INPUT),
    Unit.CACHE_WRITE_5M: (Unit.CACHE_WRITE, Unit.INPUT),
    Unit.CACHE_WRITE_1H: (Unit.CACHE_WRITE, Unit.INPUT),
    Unit.OUTPUT: (),
    Unit.REASONING: (Unit.OUTPUT,),
    Unit.TOOL_PROMPT: (Unit.INPUT,),
    Unit.CACHE_READ_IMAGE: (Unit.CACHE_READ, Unit.INPUT_IMAGE, Unit.INPUT),
    Unit.CACHE_READ_AUDIO: (Unit.CACHE_READ, Unit.INPUT_AUDIO, Unit.INPUT),
    Unit.CACHE_READ_VIDEO: (Unit.CACHE_READ, Unit.INPUT_VIDEO, Unit.INPUT),
}
"""Whose price a unit takes when it has none of its own."""

_CLASSES: tuple[tuple[Unit, TokenClass | None], ...] = (
    (Unit.INPUT, TokenClass.INPUT),
    (Unit.CACHE_READ, TokenClass.CACHE_READ),
    (Unit.CACHE_WRITE_5M, None),
    (Unit.CACHE_WRITE_1H, None),
    (Unit.CACHE_WRITE, None),
    (Unit.OUTPUT, TokenClass.OUTPUT),
    (Unit.REASONING, None),
    (Unit.TOOL_PROMPT, None),
)
"""The unit of every class of Tokens, in its order, and the class that its modality shares name."""

_MODAL: dict[tuple[TokenClass, Modality], Unit] = {
    (TokenClass.INPUT, Modality.IMAGE): Unit.INPUT_IMAGE,
    (TokenClass.INPUT, Modality.AUDIO): Unit.INPUT_AUDIO,
    (TokenClass.INPUT, Modality.VIDEO): Unit.INPUT_VIDEO,
    (TokenClass.CACHE_READ, Modality.IMAGE): Unit.CACHE_READ_IMAGE,
    (TokenClass.CACHE_READ, Modality.AUDIO): Unit.CACHE_READ_AUDIO,
    (TokenClass.CACHE_READ, Modality.VIDEO): Unit.CACHE_READ_VIDEO,
    (TokenClass.OUTPUT, Modality.IMAGE): Unit.OUTPUT_IMAGE,
    (TokenClass.OUTPUT, Modality.AUDIO): Unit.OUTPUT_AUDIO,
    (TokenClass.OUTPUT, Modality.VIDEO): Unit.OUTPUT_VIDEO,
}

_TOOLS: tuple[tuple[str, Unit], ...] = (
    ("web_search", Unit.WEB_SEARCH),
    ("file_search", Unit.FILE_SEARCH),
    ("code_", Unit.CODE_EXECUTION),
)
"""How the providers' names of their tools begin."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an attempt cost. Amounts are None where the price is not known."""

    state: PriceState
    pico: int | None = None
    nano: int | None = None
    price: str = ""


UNKNOWN = Cost(PriceState.UNKNOWN)


def rate(usage: Usage, rates: Rates, price: str = "") -> Cost:
    """Sum all dimensions in pico and round once to nano. A used unit without a price makes the cost unknown."""
    prompt = usage.tokens.prompt()
    total = 0
    for (unit, token_class), count in zip(_CLASSES, usage.tokens.counts(), strict=True):
        if not count:
            continue
        if usage.shares and token_class is not None:
            for modal, tokens in _modal(usage, token_class, rates):
                tokens = min(tokens, count)
                count -= tokens
                total += rates[modal].at(prompt) * tokens
        if count:
            pico = _pico(rates, unit, prompt)
            if pico is None:
                return UNKNOWN
            total += pico * count
    total += sum(rates[unit].at(prompt) * calls for unit, calls in _calls(usage, rates))
    return Cost(PriceState.PRICED, total, nano_from_pico(total), price)


def free(price: str) -> Cost:
    """The cost of what the operator declared free."""
    return Cost(PriceState.FREE, 0, 0, price)


def _calls(usage: Usage, rates: Rates) -> Iterator[tuple[Unit, int]]:
    """What is paid by the piece, where it has a price; a tool without one is paid by its tokens."""
    for name, calls in usage.tool_calls:
        tool = next((tool for prefix, tool in _TOOLS if name.startswith(prefix)), None)
        if tool is not None and tool in rates:
            yield tool, calls
    if Unit.REQUEST in rates and usage.known():
        yield Unit.REQUEST, 1


def _modal(usage: Usage, token_class: TokenClass, rates: Rates) -> Iterator[tuple[Unit, int]]:
    """The shares of a class that have a price apart from the class."""
    for share in usage.shares:
        unit = _MODAL.get((share.of, share.modality))
        if share.of is token_class and unit is not None and unit in rates:
            yield unit, share.tokens


def _pico(rates: Rates, unit: Unit, prompt: int) -> int | None:
    for candidate in (unit, *_FALLBACKS.get(unit, ())):
        found = rates.get(candidate)
        if found is not None:
            return found.at(prompt)
    return None
