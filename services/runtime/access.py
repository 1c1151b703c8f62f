"""Who may call what: the contract's `access` option of every method, and what a key holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from llmhub.types.v1 import access_pb2
from services.runtime.context import Principal
from services.runtime.errors import ScopeDenied
from services.runtime.patterns import covers


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call a method: holders of `scope`, only the mesh (`internal`), or anybody (`open`)."""

    scope: int = 0
    internal: bool = False
    open: bool = False


OPEN: Final = Rule(open=True)
INTERNAL: Final = Rule(internal=True)

# Services that are not ours and carry no option. Health tells nothing, reflection is served in development only.
_FOREIGN: Final = {
    "grpc.health.v1.Health": OPEN,
    "grpc.reflection.v1.ServerReflection": OPEN,
    "grpc.reflection.v1alpha.ServerReflection": OPEN,
}


class Service(Protocol):
    """A service's descriptor, whichever implementation of protobuf made it."""

    @property
    def full_name(self) -> str: ...
    @property
    def methods(self) -> Any: ...


class AccessMissing(Exception):
    """A method without a rule: a defect of the contract, so the server does not start."""


class AccessTable:
    """The rule of every method of the services added to it, by full method name (`/package.Service/Method`)."""

    def __init__(self, *services: Service) -> None:
        self._rules: dict[str, Rule] = {}
        self.find = self._rules.get
        for service in services:
            self.add(service)

    def add(self, service: Service) -> None:
        """Take in a service; raises AccessMissing and takes nothing if one of its methods has no rule."""
        foreign = _FOREIGN.get(service.full_name)
        rules = {
            f"/{service.full_name}/{method.name}": foreign or _rule(method) for method in service.methods
        }
        self._rules.update(rules)

    def public_methods(self) -> list[str]:
        """Full names of the methods that have a route at the edge."""
        return sorted(name for name, rule in self._rules.items() if not rule.internal)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __getitem__(self, method: str) -> Rule:
        return self._rules[method]


def _rule(method: Any) -> Rule:
    access = method.GetOptions().Extensions[access_pb2.access]
    match access.WhichOneof("rule"):
        case "scope" if access.scope != access_pb2.SCOPE_UNSPECIFIED:
            return Rule(scope=access.scope)
        case "internal" if access.internal:
            return INTERNAL
        case "open" if access.open:
            return OPEN
        case _:
            raise AccessMissing(f"{method.full_name} has no rule: give it option (llmhub.types.v1.access)")


def holds(principal: Principal, scope: int) -> bool:
    """Whether the caller holds the scope; SCOPE_ADMIN holds every one."""
    return scope in principal.scopes or access_pb2.SCOPE_ADMIN in principal.scopes


def require(principal: Principal, scope: int) -> None:
    """Raise ScopeDenied unless the caller holds the scope."""
    if not holds(principal, scope):
        name = access_pb2.Scope.Name(scope).removeprefix("SCOPE_")  # type: ignore[arg-type]
        raise ScopeDenied(f"this key lacks the scope {name}", scope=name)


def may_use_model(principal: Principal, model: str) -> bool:
    """Whether one of the key's patterns matches the whole name; a key without patterns may use every model."""
    return not principal.models or any(covers(pattern, model) for pattern in principal.models)
