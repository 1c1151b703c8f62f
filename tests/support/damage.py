"""JSON of a vendor with junk in it, for fuzzing, made from bodies that are in order.

Hypothesis draws a seed only: drawing every choice of a large body makes examples slow, and shrinking endless.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st

EXAMPLES: Final = 40 + int(os.environ.get("LLMHUB_FUZZ_EXAMPLES", "0"))
"""How many examples a fuzzing test takes; the variable adds more for a long run."""
SEEDS: Final = st.integers(0, 2**64)

_SCALARS: Final = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63,
    -(2**70),
    1.0,
    0.5,
    1e300,
    "",
    "\0",
    "text",
    "$shape",
    "é👋",
)
_STRINGS: Final = (
    "1e400",
    "data:,",
    "data:image/png;base64,AA==",
    "{}",
    "doc:1",
    "function",
    "assistant",
    "true",
)


def names_in(*values: Any) -> list[str]:
    """All member names in these values."""
    found: set[str] = {"$shape"}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value)
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    for value in values:
        look(value)
    return sorted(found)


def junk(dice: random.Random, names: Sequence[str], depth: int = 3) -> Any:
    """Any JSON, with members of these names."""
    fate = dice.randrange(6) if depth else dice.randrange(4)
    if fate == 4:
        return [junk(dice, names, depth - 1) for _ in range(dice.randrange(4))]
    if fate == 5:
        return {dice.choice(names): junk(dice, names, depth - 1) for _ in range(dice.randrange(4))}
    return dice.choice(_STRINGS if fate == 3 else _SCALARS)


def damaged(dice: random.Random, value: Any, names: Sequence[str]) -> Any:
    """A JSON value in which some members, anywhere, are junk or missing."""
    if isinstance(value, dict):
        result = {}
        for name, each in value.items():
            fate = dice.randrange(30)
            if fate:
                result[name] = junk(dice, names) if fate == 1 else damaged(dice, each, names)
        if not dice.randrange(10):
            result[dice.choice(names)] = junk(dice, names)
        return result
    if isinstance(value, list):
        return [junk(dice, names) if not dice.randrange(30) else damaged(dice, each, names) for each in value]
    return junk(dice, names) if not dice.randrange(40) else value
