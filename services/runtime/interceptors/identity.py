"""Who calls: request id and principal into the context, and nobody past the rule of the contract."""

import re
from typing import Any, Final, Protocol

import grpc.aio

from services.runtime import context as ambient
from services.runtime.access import AccessTable, require
from services.runtime.context import Principal
from services.runtime.errors import KeyMissing, OperationUnsupported
from services.runtime.ids import new_id
from services.runtime.interceptors.handlers import REQUEST_ID_KEY

KEY_NAMES: Final = frozenset({"x-api-key", "api-key", "x-goog-api-key"})
"""Metadata in which a key may stand, beside authorization."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


class Authenticator(Protocol):
    """Resolves API keys."""

    async def authenticate(self, token: str) -> Principal:
        """Return who holds the key; raises KeyInvalid, KeyExpired, KeyRevoked or ServiceUnavailable."""
        ...


class IdentityInterceptor(grpc.aio.ServerInterceptor):
    """Applies the access table.

    A `public` server is one that the edge reaches: internal methods do not exist on it. On any other server they need
    no key, because only the mesh can reach it. Methods with a scope need a key everywhere.
    """

    def __init__(self, table: AccessTable, authenticator: Authenticator, *, public: bool) -> None:
        self._rule = table.find
        self._authenticator = authenticator
        self._public = public

    def settles(self, method: str) -> bool:
        """See InProcessServer. The mesh's own messages say themselves which request they belong to."""
        rule = self._rule(method)
        return rule is not None and rule.internal and not self._public

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        request_id = authorization = key = None
        for name, value in handler_call_details.invocation_metadata or ():
            if name == REQUEST_ID_KEY:
                request_id = value
            elif name == "authorization":
                authorization = value
            elif name in KEY_NAMES:
                key = value
        ambient.request_id.set(accepted_request_id(request_id))
        rule = self._rule(handler_call_details.method)
        if rule is None or (rule.internal and self._public):
            raise OperationUnsupported(
                "no such method", operation=handler_call_details.method.rpartition("/")[2]
            )
        if rule.scope:
            token = bearer(authorization) or key
            if not token:
                raise KeyMissing("send an API key: authorization: Bearer <key>, or x-api-key: <key>")
            principal = await self._authenticator.authenticate(token)
            require(principal, rule.scope)
            ambient.principal.set(principal)
        return await continuation(handler_call_details)


def accepted_request_id(proposed: str | None) -> str:
    """The caller's request id in canonical form if it is a UUID, else a new one."""
    if proposed and _UUID.fullmatch(proposed):
        return proposed.lower()
    return new_id()


def bearer(authorization: str | None) -> str | None:
    """The token of an `authorization: Bearer` value, None for any other."""
    if authorization and authorization[:7].lower() == "bearer ":
        return authorization[7:].strip() or None
    return None
