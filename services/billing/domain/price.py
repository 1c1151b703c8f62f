"""Prices of a model: what one of each unit costs, when, and in which tier."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Unit(StrEnum):
    """Something that has a price."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE = "cache_write"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    OUTPUT = "output"
    REASONING = "reasoning"
    TOOL_PROMPT = "tool_prompt"
    INPUT_IMAGE = "input_image"
    INPUT_AUDIO = "input_audio"
    INPUT_VIDEO = "input_video"
    CACHE_READ_IMAGE = "cache_read_image"
    CACHE_READ_AUDIO = "cache_read_audio"
    CACHE_READ_VIDEO = "cache_read_video"
    OUTPUT_IMAGE = "output_image"
    OUTPUT_AUDIO = "output_audio"
    OUTPUT_VIDEO = "output_video"
    WEB_SEARCH = "web_search"
    FILE_SEARCH = "file_search"
    CODE_EXECUTION = "code_execution"
    REQUEST = "request"


class PriceState(StrEnum):
    """How a cost came to be."""

    PRICED = "priced"
    FREE = "free"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Rate:
    """Pico-USD for one of a unit. A prompt longer than a tier's start pays that tier's price for all of them."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def at(self, prompt_tokens: int) -> int:
        """The price for a prompt of this length."""
        price = self.base
        for start, tier in self.tiers:
            if prompt_tokens > start:
                price = tier
        return price


Rates = Mapping[Unit, Rate]


@dataclass(frozen=True, slots=True)
class Condition:
    """When a price is in force: from a day in UTC on, or between two times of the day in UTC, in minutes."""

    from_day: str = ""
    minutes: tuple[int, int] | None = None

    def holds(self, at: datetime) -> bool:
        """Whether a moment is covered."""
        at = at.astimezone(UTC)
        if self.minutes is not None:
            minute = at.hour * 60 + at.minute
            start, end = self.minutes
            return start <= minute < end if start <= end else minute >= start or minute < end
        return at.date().isoformat() >= self.from_day


@dataclass(frozen=True, slots=True)
class Period:
    """Prices with their condition."""

    rates: Rates
    condition: Condition = Condition()


@dataclass(frozen=True, slots=True)
class TierPrices:
    """What a service tier changes."""

    tier: str
    rates: Rates
    condition: Condition = Condition()


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """All prices of one model; later periods win over earlier ones."""

    name: str
    periods: tuple[Period, ...]
    tiers: tuple[TierPrices, ...] = ()

    def is_constant(self, service_tier: str) -> bool:
        """Whether the time of the attempt makes no difference."""
        return len(self.periods) == 1 and all(tier.tier != service_tier for tier in self.tiers)

    def in_force(self, at: datetime, service_tier: str = "") -> tuple[Rates, str]:
        """The rates at a moment, and a name for them. The first period stands where no condition holds."""
        index = next(
            (i for i in reversed(range(len(self.periods))) if self.periods[i].condition.holds(at)), 0
        )
        rates = self.periods[index].rates
        name = f"{self.name}@{index}" if len(self.periods) > 1 else self.name
        changes: dict[Unit, Rate] = {}
        for tier in self.tiers:
            if tier.tier == service_tier and tier.condition.holds(at):
                changes = {**tier.rates, **changes}
        if changes:
            return {**rates, **changes}, f"{name}+{service_tier}"
        return rates, name
