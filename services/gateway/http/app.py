"""The ASGI application of the HTTP door: routes, keys, and errors in the caller's dialect."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import msgspec

from llmhub.types.v1.access_pb2 import Scope
from services.gateway.domain.pipeline import Pipeline
from services.gateway.http.catalog import Catalog
from services.gateway.http.endpoints import ENDPOINTS, dialect_of
from services.gateway.http.exchange import Exchange
from services.gateway.http.vendor import VendorCall
from services.gateway.ports import Authenticator
from services.runtime import context as ambient
from services.runtime.access import require
from services.runtime.errors import InternalError, KeyMissing, LlmhubError, OperationUnsupported
from services.runtime.ids import new_id
from services.runtime.log import get_logger
from services.runtime.status import NOT_STARTED, is_not_started

log = get_logger(__name__)

_JSON = {"content-type": "application/json"}


class Door:
    """Serves the vendors' HTTP APIs; see docs/decisions/0002-http-door-for-vendor-dialects.md."""

    def __init__(
        self,
        pipeline: Pipeline,
        authenticator: Authenticator,
        catalog: Catalog,
        *,
        max_body_bytes: int,
        ready: Callable[[], bool],
    ) -> None:
        self._pipeline = pipeline
        self._authenticator = authenticator
        self._catalog = catalog
        self._max_body_bytes = max_body_bytes
        self._ready = ready

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one exchange."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        request_id = _request_id(exchange.headers.get("x-request-id"))
        ambient.request_id.set(request_id)
        try:
            await self._route(exchange, request_id)
        except LlmhubError as error:
            await _refuse(exchange, error, request_id)
        except asyncio.CancelledError:
            if not exchange.left:
                raise
            # The caller hung up and the call has been wound up; there is nobody left to tell.
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
        except Exception:
            log.exception("the HTTP door failed")
            await _refuse(exchange, InternalError("llmhub has a defect; its log has more"), request_id)

    async def _route(self, exchange: Exchange, request_id: str) -> None:
        path = exchange.path
        if exchange.method in {"GET", "HEAD"} and (path == "/" or path.startswith("/health")):
            await self._health(exchange, path)
            return
        endpoint = ENDPOINTS.get(path)
        listed = path == "/v1/models" or path.startswith("/v1/models/")
        if endpoint is not None and exchange.method == "POST":
            token = _token(exchange)
            principal = await self._authenticator.authenticate(token)
            require(principal, Scope.SCOPE_INFERENCE)
            ambient.principal.set(principal)
            await VendorCall(exchange, endpoint, principal, request_id).serve(
                self._pipeline, self._max_body_bytes
            )
            return
        if listed and exchange.method in {"GET", "HEAD"}:
            token = _token(exchange)
            body = await self._catalog.answer(path, token)
            await exchange.answer(200, {**_JSON, "x-request-id": request_id}, body)
            return
        error = OperationUnsupported(
            f"there is no {exchange.method} {path}", operation=f"{exchange.method} {path}"
        )
        if endpoint is None and not listed:
            raise error
        # SDKs try a 501 again; a wrong method stays wrong.
        answer = dialect_of(path).encode_error(error, request_id)
        allow = "GET, HEAD" if listed else "POST"
        await exchange.answer(HTTPStatus.METHOD_NOT_ALLOWED, {**answer.headers, "allow": allow}, answer.body)

    async def _health(self, exchange: Exchange, path: str) -> None:
        """Answer the probes: live while the process runs, ready while it takes calls."""
        good = path == "/health/live" or self._ready()
        body = msgspec.json.encode({"status": "ok" if good else "unavailable"})
        await exchange.answer(200 if good or path == "/" else 503, _JSON, body)


async def _refuse(exchange: Exchange, error: LlmhubError, request_id: str) -> None:
    if exchange.started:
        return
    answer = dialect_of(exchange.path).encode_error(error, request_id)
    headers = {**answer.headers, NOT_STARTED: "1"} if is_not_started(error) else answer.headers
    await exchange.answer(answer.status, headers, answer.body)


def _token(exchange: Exchange) -> str:
    """Return the key the caller sent, wherever its vendor's SDK puts it. Raises KeyMissing."""
    scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer":
        return token.strip()
    if token := exchange.headers.get("x-api-key", ""):
        return token
    message = "no API key was sent: use authorization: Bearer KEY or x-api-key: KEY"
    raise KeyMissing(message)


def _request_id(text: str | None) -> str:
    """Return the caller's request id if it is a UUID, else a new one."""
    if text is not None:
        try:
            return str(uuid.UUID(text))
        except ValueError:
            pass
    return new_id()
