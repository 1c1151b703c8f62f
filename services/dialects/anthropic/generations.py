"""What Claude's generations take, by the model's name; a name that tells no generation is taken for a new one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

USUAL_BOUND: Final = 4096
"""A bound on the answer that every model takes."""

_NEW: Final = re.compile(r"claude-([a-z]+)-(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")
_OLD: Final = re.compile(r"claude-(?:instant-)?v?([1-3])(?!\d)(?:[-.](\d)(?!\d))?")


@lru_cache(maxsize=256)
def generation(model: str) -> tuple[str, int, int] | None:
    """Family and version: `claude-opus-4-5-20251101` is ("opus", 4, 5), `claude-3-7-sonnet-…` is ("", 3, 7)."""
    if found := _OLD.search(model):
        return "", int(found[1]), int(found[2] or 0)
    if found := _NEW.search(model):
        return found[1], int(found[2]), int(found[3] or 0)
    return None


def usual_bound(model: str) -> int:
    """Return a bound for a caller who gave none: what the model can write, as far as programs need it."""
    known = generation(model)
    if known is None or known[1:] < (3, 5):
        return USUAL_BOUND
    return 8192 if known[1:] < (3, 7) else 32_000


def nearest_effort(model: str, effort: str) -> str:
    """Return the highest effort the model takes that is not above this one; empty if it takes none at all."""
    known = generation(model)
    if known is None:
        return effort
    family, *version = known
    if version < ([4, 5] if family == "opus" else [4, 6]):
        return ""
    if effort == "xhigh" and version < [4, 7]:
        return "high"
    if effort == "max" and version < [4, 6]:
        return "high"
    return effort
