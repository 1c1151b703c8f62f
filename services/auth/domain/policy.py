"""Nobody gives a key more than the own key has: scopes, models, environment and lifetime."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from services.runtime.errors import ScopeDenied
from services.runtime.patterns import covers


class Scope(IntEnum):
    """The rights of llmhub.types.v1.Scope, same numbers."""

    INFERENCE = 1
    CATALOG_READ = 2
    USAGE_READ = 3
    KEYS_MANAGE = 4
    ADMIN = 5


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key may do. No models: all. No expiry: for ever, else milliseconds since 1970."""

    scopes: frozenset[int]
    models: tuple[str, ...] = ()
    environment: str = "live"
    expires_at: int | None = None


_NAMES: Final = {int(scope): scope.name for scope in Scope}

DEFAULT_SCOPES: Final = frozenset({int(Scope.INFERENCE), int(Scope.CATALOG_READ)})
OPERATOR: Final = Grant(scopes=frozenset({int(Scope.ADMIN)}))
"""The rights of whoever holds the installation itself, and of an administrator's key."""


def require_may_give(caller: Grant, wanted: Grant) -> None:
    """Raise ScopeDenied if `wanted` holds anything that the caller does not hold itself."""
    require_may_end(caller, wanted)
    _require_models(caller, wanted, ())
    _require_lifetime(caller, wanted.expires_at)
    _require_environment(caller, wanted)


def require_may_change(caller: Grant, old: Grant, new: Grant) -> None:
    """Raise ScopeDenied if `old` has a scope the caller lacks, or `new` has more than both `old` and caller."""
    require_may_end(caller, old)
    require_may_end(caller, new)
    _require_environment(caller, old)
    if new.models != old.models and old.models:
        _require_models(caller, new, old.models)
    if old.expires_at is not None and (new.expires_at is None or new.expires_at > old.expires_at):
        _require_lifetime(caller, new.expires_at)


def require_may_end(caller: Grant, target: Grant) -> None:
    """Raise ScopeDenied if the target has a scope that the caller lacks. Ending gives nothing, so no more is asked."""
    if Scope.ADMIN in caller.scopes:
        return
    for scope in sorted(target.scopes - caller.scopes):
        name = _NAMES.get(scope, str(scope))
        raise ScopeDenied(f"your key does not have the scope {name} that this takes", scope=name)


def _require_models(caller: Grant, wanted: Grant, also: tuple[str, ...]) -> None:
    if not caller.models:
        return
    if not wanted.models:
        raise ScopeDenied("your key is limited to some models, so name the models of the other key")
    allowed = (*caller.models, *also)
    for pattern in wanted.models:
        if not any(covers(each, pattern) for each in allowed):
            raise ScopeDenied(f"your key may not use the models {pattern}", model=pattern)


def _require_lifetime(caller: Grant, expires_at: int | None) -> None:
    if caller.expires_at is not None and (expires_at is None or expires_at > caller.expires_at):
        raise ScopeDenied("your key expires, so expires_at of the other key must not be later than yours")


def _require_environment(caller: Grant, wanted: Grant) -> None:
    if caller.environment not in {"live", wanted.environment}:
        raise ScopeDenied(f"a key of environment {caller.environment} manages no key of another environment")
