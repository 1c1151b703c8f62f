"""What is wrong with a configuration, and where."""

from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and list positions from the root to a value."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; printed as `file:line: path: what; what to do`. No text in it repeats a value, which may be secret."""

    file: str
    line: int | None
    path: str
    what: str
    advice: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.path, f"{self.what}; {self.advice}") if part)


class ConfigError(Exception):
    """A configuration that cannot be used, with all of its faults."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def dotted(path: Path) -> str:
    """A path as people write it: `models.fast.targets[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
