"""How long a provider asks to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from services.dialects.members import JsonObject

_LONGEST: Final = 86_400.0 * 31
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LIMITS: Final = ("requests", "tokens", "input-images", "tokens_usage_based")


def retry_delay(status: int, headers: Mapping[str, str], error: JsonObject) -> tuple[float | None, str]:
    """Seconds to wait and where they were found (header, body); None and empty if nothing is said."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000, "header"
    after = headers.get("retry-after")
    if after:
        seconds = _number(after)
        if seconds is None:
            seconds = _until(after, headers.get("date"))
        if seconds is not None:
            return seconds, "header"
    told = _retry_info(error)
    if told is not None:
        return told, "body"
    if status == 429:
        reset = _reset(headers)
        if reset is not None:
            return reset, "header"
    return None, ""


def duration(text: str) -> float | None:
    """Seconds of a duration like 12ms, 6m0s or 1.5 (plain seconds); None for anything else."""
    plain = _number(text)
    if plain is not None:
        return plain
    position, total = 0, 0.0
    for match in _PART.finditer(text):
        if match.start() != position:
            return None
        total += float(match[1]) * _SECONDS[match[2]]
        position = match.end()
    return total if position and position == len(text) and total <= _LONGEST else None


def _reset(headers: Mapping[str, str]) -> float | None:
    """When the exhausted limits are free again; of all limits if none is told to be exhausted."""
    spent: list[float] = []
    others: list[float] = []
    for limit in _LIMITS:
        reset = duration(headers.get(f"x-ratelimit-reset-{limit}", ""))
        if reset is not None:
            remaining = _number(headers.get(f"x-ratelimit-remaining-{limit}"))
            (spent if remaining == 0 else others).append(reset)
    plain = duration(headers.get("x-ratelimit-reset", ""))
    if plain is not None:
        others.append(plain)
    if spent:
        return max(spent)
    return min(others) if others else None


def _retry_info(error: JsonObject) -> float | None:
    details: Any = error.get("details")
    for each in details if isinstance(details, list) else ():
        delay = each.get("retryDelay") if isinstance(each, dict) else None
        if isinstance(delay, str):
            return duration(delay)
    return None


def _until(text: str, now: str | None) -> float | None:
    """Seconds from the answer's own date to an HTTP date."""
    if not now:
        return None
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(now)).total_seconds())
    except (ValueError, TypeError):
        return None


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= _LONGEST else None
