"""Errors of handlers become statuses: ours as they are, any other as INTERNAL with nothing told."""

from typing import Any

import grpc
import grpc.aio

from services.runtime import context as ambient
from services.runtime.errors import InternalError, LlmhubError
from services.runtime.interceptors.handlers import Behaviour, Handler, Refusal, abort, behaviour_of, yields
from services.runtime.log import get_logger
from services.runtime.status import from_rpc_error

_LOGGER = get_logger(__name__)


class ErrorsInterceptor(grpc.aio.ServerInterceptor):
    """Outermost of those that may fail: what the ones within raise counts as raised by the handler."""

    def __init__(self) -> None:
        # Servers give the same handler for a method each time, so each is wrapped once.
        self._wrapped: dict[str, tuple[Any, Handler]] = {}

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        try:
            handler = await continuation(handler_call_details)
        except Exception as error:  # noqa: BLE001 - becomes the call's status
            return Refusal(_safe(error, method))
        if handler is None or isinstance(handler, Refusal):
            return handler
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            known = handler, Handler(handler, _guarded(behaviour_of(handler), method))
            self._wrapped[method] = known
        return known[1]


def _guarded(behaviour: Behaviour, method: str) -> Behaviour:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await behaviour(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - becomes the call's status
            await _end(error, method, context)

    async def stream(request: Any, context: Any) -> Any:
        responses = behaviour(request, context)
        try:
            async for response in responses:
                yield response
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - becomes the call's status
            await _end(error, method, context)
        finally:
            # Where the server stops reading, the handler's own clean-up runs now and not when memory is collected.
            await responses.aclose()

    return stream if yields(behaviour) else call


async def _end(error: Exception, method: str, context: Any) -> None:
    if context.done():
        # The client has gone; nobody is there to be told.
        raise error
    await abort(context, _safe(error, method))


def _safe(error: Exception, method: str) -> LlmhubError:
    """What the caller may know."""
    if isinstance(error, LlmhubError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):
        return from_rpc_error(error)
    _LOGGER.error("a handler failed", method=method, exc_info=error)
    request_id = ambient.request_id.get()
    return InternalError("llmhub failed; the log has more under the request id", request_id=request_id)
