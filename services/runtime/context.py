"""Who calls and under which request id, in context variables set once per call at the door."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: one API key and what it may do. `scopes` and `models` as in llmhub.auth.v1.Principal."""

    key_id: str
    name: str = ""
    scopes: frozenset[int] = field(default_factory=frozenset)
    models: tuple[str, ...] = ()
    version: int = 0
    expires_at: float | None = None
    environment: str = ""


principal: ContextVar[Principal | None] = ContextVar("llmhub_principal", default=None)
request_id: ContextVar[str] = ContextVar("llmhub_request_id", default="")
