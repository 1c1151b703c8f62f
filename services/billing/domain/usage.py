"""What an attempt consumed, in disjoint classes."""

from dataclasses import dataclass
from enum import StrEnum

LARGEST_COUNT = 1 << 40
"""A count above this is no measurement."""


class TokenClass(StrEnum):
    """The classes that modality shares belong to."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE = "cache_write"
    OUTPUT = "output"
    REASONING = "reasoning"


class Modality(StrEnum):
    """Kinds of content that may have their own price."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts by class, every token in exactly one. None: not known."""

    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    tool_prompt: int | None = None

    def counts(self) -> tuple[int | None, ...]:
        """The counts in the order of the fields."""
        return (
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.cache_write,
            self.output,
            self.reasoning,
            self.tool_prompt,
        )

    def prompt(self) -> int:
        """Everything the provider read: decides the context tier."""
        return (
            (self.input or 0)
            + (self.cache_read or 0)
            + (self.cache_write_5m or 0)
            + (self.cache_write_1h or 0)
            + (self.cache_write or 0)
            + (self.tool_prompt or 0)
        )


@dataclass(frozen=True, slots=True)
class Share:
    """A part of one class in one modality."""

    of: TokenClass
    modality: Modality
    tokens: int


@dataclass(frozen=True, slots=True)
class Usage:
    """One attempt's consumption. `tool_calls` are calls of the provider's own tools, by its names for them."""

    tokens: Tokens = Tokens()
    shares: tuple[Share, ...] = ()
    tool_calls: tuple[tuple[str, int], ...] = ()
    service_tier: str = ""

    def fault(self) -> str | None:
        """Why these numbers cannot be a measurement, if they cannot."""
        counts = [count for count in self.tokens.counts() if count is not None]
        counts += [share.tokens for share in self.shares]
        counts += [count for _, count in self.tool_calls]
        if counts and min(counts) < 0:
            return "a negative count"
        if counts and max(counts) > LARGEST_COUNT:
            return "an absurd count"
        return None

    def known(self) -> bool:
        """Whether anything at all was counted."""
        return any(count is not None for count in self.tokens.counts())
