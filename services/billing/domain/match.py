"""Rules that say which names a price stands for."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

Clause = Mapping[str, Any]
"""One of equals, starts_with, ends_with, contains, regex with a text, or `any` / `all` with a list of clauses."""


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


_TEXT: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda name, text: name == text.lower(),
    "starts_with": lambda name, text: name.startswith(text.lower()),
    "ends_with": lambda name, text: name.endswith(text.lower()),
    "contains": lambda name, text: text.lower() in name,
    "regex": lambda name, text: _pattern(text).search(name) is not None,
}
_MANY: dict[str, Callable[[Sequence[bool]], bool]] = {"any": any, "all": all}


def matches(clause: Clause, name: str) -> bool:
    """Whether a lower-case name satisfies the clause. Raises ValueError on a kind of clause that does not exist."""
    ((kind, operand),) = clause.items()
    if kind in _TEXT:
        return _TEXT[kind](name, operand)
    if kind in _MANY:
        return _MANY[kind]([matches(inner, name) for inner in operand])
    raise ValueError(f"no such clause: {kind}")


_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


def with_dashed_dates(name: str) -> str:
    """The name with `-20260131` written as `-2026-01-31`."""
    return _COMPACT_DATE.sub(r"-\1-\2-\3", name)
