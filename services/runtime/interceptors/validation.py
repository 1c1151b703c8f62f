"""Requests from outside keep the contract's own rules, or are refused with the path of every fault."""

from functools import cache
from typing import TYPE_CHECKING, Any

import grpc.aio

from services.runtime.access import AccessTable
from services.runtime.errors import RequestInvalid, Violation
from services.runtime.interceptors.handlers import Behaviour, Handler, Refusal, behaviour_of, yields

if TYPE_CHECKING:
    from protovalidate import Validator


@cache
def _validator() -> "Validator":
    """Made for the first call of the contract: a hub that serves vendor doors alone never pays its 15 MB."""
    from protovalidate import Validator  # noqa: PLC0415 - see above

    return Validator()


class ValidationInterceptor(grpc.aio.ServerInterceptor):
    """Validates the requests of public methods; the mesh's own are trusted."""

    def __init__(self, table: AccessTable) -> None:
        self._rule = table.find
        self._wrapped: dict[str, tuple[Any, Handler]] = {}

    def settles(self, method: str) -> bool:
        """See InProcessServer."""
        return True

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        rule = self._rule(method)
        if handler is None or isinstance(handler, Refusal) or (rule is not None and rule.internal):
            return handler
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            known = handler, Handler(handler, _validated(handler))
            self._wrapped[method] = known
        return known[1]


def check(message: Any) -> None:
    """Raise RequestInvalid, naming every fault, unless the message keeps the rules of its contract."""
    found = _validator().collect_violations(message)
    if found:
        violations = tuple(Violation(_path(each.proto.field), each.proto.message) for each in found)
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        where = f"{first.field}: " if first.field else ""
        raise RequestInvalid(f"{where}{first.message}{more}", violations=violations)


def _validated(handler: Any) -> Behaviour:
    behaviour = behaviour_of(handler)
    streams_requests = handler.request_streaming

    async def call(request: Any, context: Any) -> Any:
        if streams_requests:
            return await behaviour(_Checked(request), context)
        check(request)
        return await behaviour(request, context)

    async def stream(request: Any, context: Any) -> Any:
        if streams_requests:
            request = _Checked(request)
        else:
            check(request)
        responses = behaviour(request, context)
        try:
            async for response in responses:
                yield response
        finally:
            await responses.aclose()

    return stream if yields(behaviour) else call


class _Checked:
    """A stream of requests, each checked when it is read."""

    def __init__(self, requests: Any) -> None:
        self._requests = requests

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        message = await anext(self._requests)
        check(message)
        return message


def _path(field: Any) -> str:
    """`content[2].text`, `labels["a"]`; empty for a rule on the whole message."""
    path = ""
    for element in field.elements if field is not None else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None:
            value = element.subscript.value
            path += f'["{value}"]' if isinstance(value, str) else f"[{str(value).lower()}]"
    return path
