"""Amounts as integers: prices in pico-USD, books in nano-USD."""

from decimal import Decimal, InvalidOperation

PICO_PER_NANO = 1000
NANO_PER_UNIT = 1_000_000_000
PICO_PER_UNIT = 1_000_000_000_000
PER_MILLION = 1_000_000
PER_THOUSAND = 1000
LARGEST_PRICE = 1_000_000
_FINEST_DIGIT = 30


def nano_from_pico(pico: int) -> int:
    """Round to whole nano, halves to even."""
    nano, rest = divmod(pico, PICO_PER_NANO)
    if 2 * rest > PICO_PER_NANO or (2 * rest == PICO_PER_NANO and nano % 2):
        return nano + 1
    return nano


def units_and_nanos(nano: int) -> tuple[int, int]:
    """Split an amount into whole units and billionths, both of the amount's sign."""
    units, nanos = divmod(abs(nano), NANO_PER_UNIT)
    return (units, nanos) if nano >= 0 else (-units, -nanos)


def pico_per_one(text: str, per: int) -> int:
    """The price of one in pico, given in USD per `per` as a decimal string.

    Raises ValueError where the text is no price or where one would cost a fraction of a pico.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a decimal number") from None
    if not amount.is_finite() or not 0 <= amount <= LARGEST_PRICE:
        raise ValueError(f"a price is between 0 and {LARGEST_PRICE} USD: {text!r}")
    if amount and amount.adjusted() < -_FINEST_DIGIT:
        raise ValueError(f"{text!r} is too small to be a price")
    numerator, denominator = amount.as_integer_ratio()
    pico, rest = divmod(numerator * PICO_PER_UNIT, denominator * per)
    if rest:
        raise ValueError(f"{text!r} USD per {per} is no whole number of pico-USD each")
    return pico
