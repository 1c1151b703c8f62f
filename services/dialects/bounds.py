"""How much structure a caller's body may have: bytes alone say little about the work that a translation is."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from services.runtime.errors import RequestInvalid, Violation

MOST_MESSAGES: Final = 20_000
MOST_TOOLS: Final = 1024
"""As in the contract."""
MOST_PARTS: Final = 50_000
"""Of all messages together."""
MOST_VALUES: Final = 400_000
"""Objects, arrays and further members of them, in the whole body."""

MOST_EXTREMES: Final = 5_000
"""Numbers with an exponent of three digits: each takes 14 µs to read, five hundred times as long as any other."""

_FEW_NUMBERS: Final = 64 * 1024
_EXTREME: Final = re.compile(rb"[0-9][eE][+-]?[0-9]{3}")
_HARMLESS: Final = MOST_VALUES // 2
_SLICE: Final = 256 * 1024
_BACKSLASH: Final = 0x5C
_DIVIDERS: Final = (b"{", b"[", b",")
_TEXT: Final = bytes(byte for byte in range(256) if byte not in b'{[,"')


def require_bounded(body: bytes) -> None:
    """Raise RequestInvalid for a body of more values than a translation takes. Costs nothing for a small one."""
    if len(body) > _FEW_NUMBERS and _has_extremes(body):
        message = f"must hold at most {MOST_EXTREMES} numbers above 1e99 or below 1e-99"
        raise RequestInvalid(f"the body {message}", violations=(Violation("", message),))
    if len(body) > _HARMLESS and sum(map(body.count, _DIVIDERS)) > MOST_VALUES and _has_too_many(body):
        message = f"must hold at most {MOST_VALUES} values"
        raise RequestInvalid(f"the body {message}", violations=(Violation("", message),))


def _has_extremes(body: bytes) -> bool:
    # Texts such as base64 hold what looks like such numbers, but hardly any commas.
    if body.count(b",") <= MOST_EXTREMES:
        return False
    found = _EXTREME.finditer(body)
    return next(islice(found, MOST_EXTREMES, None), None) is not None


def too_many(name: str, count: int, most: int) -> Violation | None:
    """The fault of a list that is too long."""
    return Violation(name, f"must hold at most {most}") if count > most else None


def _has_too_many(body: bytes) -> bool:
    """Count what stands outside of strings, slice by slice, until it is enough."""
    values = start = inside = 0
    while start < len(body):
        end = start + _SLICE
        while end < len(body) and body[end - 1] == _BACKSLASH:
            end += 1
        plain = body[start:end].replace(b"\\\\", b"").replace(b'\\"', b"")
        pieces = plain.translate(None, delete=_TEXT).split(b'"')
        values += sum(map(len, pieces[inside::2]))
        if values > MOST_VALUES:
            return True
        inside ^= (len(pieces) - 1) & 1
        start = end
    return False
