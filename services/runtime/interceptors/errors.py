"""How calls end: errors of ours as they are, any other as INTERNAL with nothing told; and each end is counted."""

from typing import Any, Final

import grpc
import grpc.aio

from services.runtime import context as ambient
from services.runtime.errors import InternalError, LlmhubError, OperationUnsupported
from services.runtime.interceptors.handlers import (
    Behaviour,
    Handler,
    Refusal,
    abort,
    behaviour_of,
    require_message,
    yields,
)
from services.runtime.log import get_logger
from services.runtime.metrics import CALLS, RUNNING
from services.runtime.status import code_of, from_rpc_error

_LOGGER = get_logger(__name__)
_OK: Final = grpc.StatusCode.OK.name
_CANCELLED: Final = grpc.StatusCode.CANCELLED.name


class ErrorsInterceptor(grpc.aio.ServerInterceptor):
    """Outermost of those that may fail: what the ones within raise counts as raised by the handler."""

    def __init__(self) -> None:
        # Servers give the same handler for a method each time, so each is wrapped once.
        self._wrapped: dict[str, tuple[Any, Handler]] = {}

    def settles(self, method: str) -> bool:
        """See InProcessServer."""
        return True

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        try:
            handler = await continuation(handler_call_details)
        except Exception as error:  # noqa: BLE001 - becomes the call's status
            refused = _safe(error, method)
            # What a caller calls a method that does not exist must not become the name of a series.
            CALLS.add(
                "unknown" if isinstance(refused, OperationUnsupported) else method, code_of(refused).name
            )
            return Refusal(refused)
        if handler is None or isinstance(handler, Refusal):
            return handler
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            known = handler, Handler(handler, _guarded(behaviour_of(handler), method))
            self._wrapped[method] = known
        return known[1]


def _guarded(behaviour: Behaviour, method: str) -> Behaviour:
    async def call(request: Any, context: Any) -> Any:
        code = _CANCELLED
        RUNNING.now += 1
        try:
            require_message(request)
            response = await behaviour(request, context)
            code = _OK
            return response
        except grpc.aio.AbortError:
            code = _name(context.code())
            raise
        except Exception as error:
            if context.done():  # the client has gone, and nobody is there to be told
                raise
            told = _safe(error, method)
            code = code_of(told).name
            await abort(context, told)
        finally:
            RUNNING.now -= 1
            CALLS.add(method, code)

    async def stream(request: Any, context: Any) -> Any:
        code = _CANCELLED
        RUNNING.now += 1
        responses = behaviour(request, context)
        try:
            require_message(request)
            async for response in responses:
                yield response
            code = _OK
        except grpc.aio.AbortError:
            code = _name(context.code())
            raise
        except Exception as error:
            if context.done():  # the client has gone, and nobody is there to be told
                raise
            told = _safe(error, method)
            code = code_of(told).name
            await abort(context, told)
        finally:
            RUNNING.now -= 1
            CALLS.add(method, code)
            # Where the server stops reading, the handler's own clean-up runs now and not when memory is collected.
            await responses.aclose()

    return stream if yields(behaviour) else call


def _name(code: grpc.StatusCode | None) -> str:
    return grpc.StatusCode.UNKNOWN.name if code is None else code.name


def _safe(error: Exception, method: str) -> LlmhubError:
    """What the caller may know."""
    if isinstance(error, LlmhubError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):
        return from_rpc_error(error)
    _LOGGER.error("a handler failed", method=method, exc_info=error)
    request_id = ambient.request_id.get()
    return InternalError("llmhub failed; the log has more under the request id", request_id=request_id)
