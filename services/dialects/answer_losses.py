"""What an answer loses when it is written in another dialect than it came in.

A whole answer's losses are added to its warnings, which the door puts into a header. Most of a stream's are known when
its header is long gone: they go out as SSE comments before its end, which clients skip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_WARN
from llmhub.types.v1.content_pb2 import OpaqueState, Part
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.generation_pb2 import WarningKind
from llmhub.types.v1.stream_pb2 import Finished, Started
from services.dialects.losses import Losses
from services.dialects.members import Extension, encode_json, says_something

MOST_LOSSES: Final = 64
_SHORT: Final = 200
_PADDING: Final = '{"obfuscation":"'
"""OpenAI pads every chunk of a stream, so that its length tells nothing."""
_WRAPPERS: Final = frozenset({"choices", "candidates", "delta", "frame", "function", "message", "tool_calls"})
_TOLD: Final = frozenset(
    {"created", "error", "finish_reason", "id", "index", "model", "object", "obfuscation", "role", "usage"}
    | {"service_tier", "type"}
)
"""Members whose values stand in typed fields; a skeleton that shows where they stood may repeat them."""
_PREFIX: Final = "WARNING_KIND_"


class AnswerLosses(Losses):
    """The losses of one answer: none is refused, each is told once, and of very many only the first 64."""

    __slots__ = ("_announced", "_foreign", "_known")

    def __init__(self) -> None:
        super().__init__(UNSUPPORTED_POLICY_WARN)
        self._known: set[tuple[str, str]] = set()
        self._announced: tuple[LossWarning, ...] = ()
        self._foreign: dict[str, dict[str, None]] = {}

    @property
    def warnings(self) -> tuple[LossWarning, ...]:
        """What was lost so far."""
        foreign = (
            LossWarning(
                kind=WarningKind.WARNING_KIND_DROPPED,
                field=where,
                message=f"{', '.join(names)}: known to that dialect only",
            )
            for where, names in self._foreign.items()
        )
        return (*super().warnings, *foreign)

    def foreign(self, extensions: Mapping[str, str], dialect: str, path: str = "") -> None:
        """Note the members that only other dialects understand; a stream's are gathered by name."""
        for other, text in extensions.items():
            if other == dialect or (text.startswith(_PADDING) and text.count('":') == 1):
                continue
            # Most chunks of a stream carry the same text.
            names = _repeated(other, text) if len(text) < _SHORT else _names(other, text)
            if names:
                where = f"{path}.extensions[{other}]" if path else f"extensions[{other}]"
                gathered = self._foreign.setdefault(where, {})
                if len(gathered) < MOST_LOSSES:
                    gathered.update(dict.fromkeys(names))

    def state(self, state: OpaqueState, path: str) -> None:
        """Report opaque state that cannot come back through this dialect."""
        where = f"of the dialect {state.dialect}" if state.dialect else "of another dialect"
        self.dropped(f"{path}.state", f"{state.kind or 'state'} {where} has no place in this answer")

    def part(self, part: Part, dialect: str, path: str) -> None:
        """Report what of a part only its own dialect could tell, whatever the part's kind."""
        if part.extensions:
            self.foreign(part.extensions, dialect, path)
        if part.HasField("state") and part.state.dialect != dialect:
            self.state(part.state, path)
        if part.reasoning.summaries and part.reasoning.text:
            self.dropped(f"{path}.reasoning.summaries", "reasoning is one text in this answer")

    def announced(self, started: Started) -> None:
        """Note what the header of a stream has told already."""
        self._announced = tuple(started.warnings)

    def comments(self, finished: Finished) -> bytes:
        """Return a stream's losses that no header told, as SSE comments."""
        late = (each for each in finished.warnings if each not in self._announced)
        return _comments((*late, *self.warnings))

    def _note(self, kind: WarningKind.ValueType, field: str, message: str) -> None:
        known = self._known
        if (field, message) in known or len(known) > MOST_LOSSES:
            return
        known.add((field, message))
        if len(known) > MOST_LOSSES:
            kind, field, message = WarningKind.WARNING_KIND_DROPPED, "", "and more that is not listed"
        super()._note(kind, field, message)


def _names(dialect: str, text: str) -> list[str]:
    """Name what says something in an extension, below the objects that a dialect wraps an answer in."""
    names: list[str] = []
    members: Any = Extension({dialect: text}, dialect).members
    left = [("", "", members)]
    while left:
        path, name, value = left.pop()
        if name and name not in _WRAPPERS:
            if name not in _TOLD and says_something(value):
                names.append(path + name)
            continue
        here = f"{path}{name}." if name else path
        if isinstance(value, list):
            left.extend((here, "", each) for each in reversed(value))
        elif isinstance(value, dict):
            left.extend((here, inner, each) for inner, each in reversed(value.items()))
    return names


_repeated = lru_cache(maxsize=256)(_names)


def _comments(warnings: Iterable[LossWarning]) -> bytes:
    return b"".join(
        b": llmhub-warning %b\n\n"
        % encode_json(
            {
                "kind": WarningKind.Name(warning.kind).removeprefix(_PREFIX).lower(),
                "field": warning.field,
                "message": warning.message,
            }
        )
        for warning in warnings
    )
