"""Collects what a translation cannot carry: warnings, or a refusal where the caller's policy says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import UnsupportedPolicy
from llmhub.types.v1.generation_pb2 import Warning as LossWarning
from llmhub.types.v1.generation_pb2 import WarningKind
from services.dialects.members import foreign_members
from services.runtime.errors import ParameterUnsupported

_REFUSE: Final = UnsupportedPolicy.UNSUPPORTED_POLICY_REFUSE


class Losses:
    """The losses of one request, in the order they were met; under UNSUPPORTED_POLICY_REFUSE the first one raises."""

    __slots__ = ("_refuse", "_warnings")

    def __init__(self, policy: UnsupportedPolicy.ValueType) -> None:
        self._refuse = policy == _REFUSE
        self._warnings: list[LossWarning] = []

    @property
    def warnings(self) -> tuple[LossWarning, ...]:
        """What was lost so far."""
        return tuple(self._warnings)

    def dropped(self, field: str, message: str) -> None:
        """Something was left out."""
        self._note(WarningKind.WARNING_KIND_DROPPED, field, message)

    def emulated(self, field: str, message: str) -> None:
        """Something was done another way."""
        self._note(WarningKind.WARNING_KIND_EMULATED, field, message)

    def altered(self, field: str, message: str) -> None:
        """Something was sent with another value."""
        self._note(WarningKind.WARNING_KIND_ALTERED, field, message)

    def foreign(self, extensions: Mapping[str, str], dialect: str, path: str = "") -> None:
        """Report the members that only other dialects understand."""
        for other, names in foreign_members(extensions, dialect):
            where = f"{path}.extensions[{other}]" if path else f"extensions[{other}]"
            self.dropped(where, f"{', '.join(names)}: known to the dialect {other} only")

    def _note(self, kind: WarningKind.ValueType, field: str, message: str) -> None:
        if self._refuse:
            raise ParameterUnsupported(f"{field}: {message}", field=field)
        self._warnings.append(LossWarning(kind=kind, field=field, message=message))
