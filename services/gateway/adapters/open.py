"""Limits and budgets that admit everything: the ledger and the rate limits take these places."""

from __future__ import annotations

from llmhub.route.v1.route_service_pb2 import Target
from services.gateway.ports import Admission
from services.runtime.context import Principal


class _Free:
    """Holds nothing."""

    def release(self) -> None:
        """Give nothing back."""


_FREE = _Free()


class OpenLimiter:
    """Admits every call; see ports.Limiter."""

    async def admit(self, principal: Principal, model: str, estimated_tokens: int) -> Admission:
        """Admit."""
        del principal, model, estimated_tokens
        return _FREE


class OpenBudgets:
    """Reserves for every attempt; see ports.Budgets."""

    async def reserve(self, principal: Principal, target: Target, estimated_tokens: int) -> Admission:
        """Reserve."""
        del principal, target, estimated_tokens
        return _FREE
