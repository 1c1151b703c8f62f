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
from services.gateway.http import ids
from services.gateway.http.catalog import Catalog
from services.gateway.http.default_model import DefaultModels
from services.gateway.http.exchange import Exchange
from services.gateway.http.gemini import wants_array
from services.gateway.http.keys import token_of
from services.gateway.http.responses.door import ResponsesDoor
from services.gateway.http.routing import dialect_of, find, is_list
from services.gateway.http.vendor import Caller, VendorCall
from services.gateway.ports import Authenticator
from services.runtime import context as ambient
from services.runtime.access import require
from services.runtime.errors import InternalError, LlmhubError, OperationUnsupported
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
        defaults: DefaultModels,
        responses: ResponsesDoor,
        *,
        max_body_bytes: int,
        ready: Callable[[], bool],
    ) -> None:
        self._pipeline = pipeline
        self._authenticator = authenticator
        self._catalog = catalog
        self._defaults = defaults
        self._responses = responses
        self._max_body_bytes = max_body_bytes
        self._ready = ready

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one exchange. An answer that cannot be finished is left unfinished: the server ends its connection."""
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
        method, path = exchange.method, exchange.path
        if method in {"GET", "HEAD"} and (path == "/" or path.startswith("/health")):
            await self._health(exchange, path)
            return
        if allow := self._responses.verbs(path):
            await self._respond(exchange, allow, request_id)
            return
        found = find(path, exchange.query)
        if found is not None and method == "POST":
            token = token_of(exchange.headers, exchange.query)
            principal = await self._authenticator.authenticate(token)
            require(principal, Scope.SCOPE_INFERENCE)
            ambient.principal.set(principal)
            call = VendorCall(exchange, found.endpoint, found.model, Caller(principal, token, request_id))
            await call.serve(self._pipeline, self._defaults, self._max_body_bytes)
            return
        listed = found is None and is_list(path)
        if listed and method in {"GET", "HEAD"}:
            token = token_of(exchange.headers, exchange.query)
            dialect = dialect_of(exchange).name
            body = await self._catalog.answer(dialect, path, exchange.query, token)
            await exchange.answer(200, {**_JSON, **ids.headers(dialect, request_id)}, body)
            return
        allow = "POST" if found is not None else "GET, HEAD" if listed else ""
        await _refuse_route(exchange, allow, request_id)

    async def _respond(self, exchange: Exchange, allow: str, request_id: str) -> None:
        """Serve the Responses API."""
        if exchange.method not in allow.split(", "):
            await _refuse_route(exchange, allow, request_id)
            return
        token = token_of(exchange.headers, exchange.query)
        principal = await self._authenticator.authenticate(token)
        require(principal, Scope.SCOPE_INFERENCE)
        ambient.principal.set(principal)
        await self._responses.serve(exchange, Caller(principal, token, request_id))

    async def _health(self, exchange: Exchange, path: str) -> None:
        """Answer the probes: live while the process runs, ready while it takes calls."""
        good = path == "/health/live" or self._ready()
        body = msgspec.json.encode({"status": "ok" if good else "unavailable"})
        await exchange.answer(200 if good or path == "/" else 503, _JSON, body)


async def _refuse(exchange: Exchange, error: LlmhubError, request_id: str) -> None:
    if exchange.started:
        return
    codec = dialect_of(exchange)
    answer = codec.encode_error(error, request_id)
    headers = {**answer.headers, **ids.headers(codec.name, request_id)}
    if is_not_started(error):
        headers[NOT_STARTED] = "1"
    body = answer.body
    if wants_array(exchange.path, exchange.query):
        body = b"[%b]" % body
    await exchange.answer(answer.status, headers, body)


async def _refuse_route(exchange: Exchange, allow: str, request_id: str) -> None:
    """Say that there is nothing here for this method; `allow` is what there is."""
    what = f"{exchange.method} {exchange.path}"
    codec = dialect_of(exchange)
    answer = codec.encode_error(OperationUnsupported(f"there is no {what}", operation=what), request_id)
    headers = {**answer.headers, **ids.headers(codec.name, request_id)}
    if allow:
        headers["allow"] = allow
    status = HTTPStatus.METHOD_NOT_ALLOWED if allow else HTTPStatus.NOT_FOUND
    body = answer.body
    if codec.name == "gemini":
        # Google has no 405, and its bodies repeat the status.
        status = HTTPStatus.NOT_FOUND
        value = msgspec.json.decode(body)
        value["error"] |= {"code": status, "status": "NOT_FOUND"}
        body = msgspec.json.encode(value)
    await exchange.answer(status, headers, body)


def _request_id(text: str | None) -> str:
    """Return the caller's request id if it is a UUID, else a new one."""
    if text is not None:
        try:
            return str(uuid.UUID(text))
        except ValueError:
            pass
    return new_id()
