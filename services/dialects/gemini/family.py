"""What a model's name tells about what it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_VERSION: Final = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_NEWEST: Final = (3, 0)


@dataclass(frozen=True, slots=True)
class Family:
    """A generation of models. A name that tells none is taken for the newest."""

    generation: tuple[int, int] = _NEWEST
    pro: bool = False

    @property
    def thinks(self) -> bool:
        """It takes a thinkingConfig at all."""
        return self.generation >= (2, 5)

    @property
    def takes_levels(self) -> bool:
        """Thinking is steered by levels, function calls must carry signatures, tool results may hold media."""
        return self.generation >= _NEWEST


def family_of(model: str) -> Family:
    """Read the name, with or without a path in front."""
    match = _VERSION.search(model)
    if match is None:
        return Family(pro="pro" in model)
    return Family((int(match[1][:4]), int((match[2] or "0")[:4])), "pro" in model)
