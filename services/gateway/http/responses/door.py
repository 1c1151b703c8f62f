"""Everything under /v1/responses: calls, and questions about responses that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec

from llmhub.completion.v1.completion_service_pb2 import CancelRequest
from services.dialects.openai_responses import stored
from services.gateway.domain.kept import KeptResponse
from services.gateway.domain.pipeline import Pipeline
from services.gateway.http import ids
from services.gateway.http.default_model import DefaultModels
from services.gateway.http.exchange import Exchange
from services.gateway.http.question import Asked, in_body
from services.gateway.http.responses.background import BackgroundCall, Places, refused
from services.gateway.http.responses.call import Keeping, ResponsesCall
from services.gateway.http.responses.endpoints import CALLS, CREATE, ROOT
from services.gateway.http.vendor import Caller
from services.gateway.ports import Peers
from services.runtime.errors import (
    LlmhubError,
    ParameterUnsupported,
    RequestInvalid,
    ResponseNotFound,
    Violation,
)
from services.runtime.offload import by_size

_JSON: Final = {"content-type": "application/json"}
_PAGE: Final = 20
_LARGEST_PAGE: Final = 100


class ResponsesDoor:
    """Serves the Responses API. What is kept belongs to the key that asked for it."""

    def __init__(
        self,
        pipeline: Pipeline,
        defaults: DefaultModels,
        peers: Peers,
        keeping: Keeping,
        *,
        max_body_bytes: int,
        max_background: int,
    ) -> None:
        self._pipeline = pipeline
        self._defaults = defaults
        self._peers = peers
        self._keeping = keeping
        self._max_body_bytes = max_body_bytes
        self._places = Places(max_background)

    def verbs(self, path: str) -> str:
        """Return the methods that a path takes, for `allow`; empty: it is none of this API's."""
        if path in CALLS:
            return "POST"
        match _parts(path):
            case [_]:
                return "GET, HEAD, DELETE"
            case [_, "cancel"]:
                return "POST"
            case [_, "input_items"]:
                return "GET, HEAD"
            case _:
                return ""

    async def serve(self, exchange: Exchange, caller: Caller) -> None:
        """Serve one of those. Raises LlmhubError as long as nothing was sent."""
        path = exchange.path
        if path in CALLS:
            await self._call(exchange, caller)
            return
        response_id, *rest = _parts(path)
        kept = await self._kept(caller, response_id)
        match rest, exchange.method:
            case ["cancel"], _:
                body = await self._cancel(kept, caller)
            case ["input_items"], _:
                body = _page(msgspec.json.decode(kept.input_items), exchange.query)
            case _, "DELETE":
                await self._keeping.store.delete(kept.key_id, response_id)
                body = msgspec.json.encode({"id": response_id, "object": "response", "deleted": True})
            case _:
                body = self._shown(kept, exchange.query)
        await exchange.answer(200, {**_JSON, **ids.headers(CREATE.codec.name, caller.request_id)}, body)

    async def _call(self, exchange: Exchange, caller: Caller) -> None:
        endpoint = CALLS[exchange.path]
        body = await exchange.body(self._max_body_bytes)
        background = endpoint is CREATE and (await by_size(len(body), stored.keeping, body)).background
        if not background:
            call = ResponsesCall(exchange.read_already(body), endpoint, caller, self._keeping)
            await call.serve(self._pipeline, self._defaults, self._max_body_bytes)
            return
        model = in_body(Asked(body)).model
        behind = BackgroundCall(exchange, body, caller, self._keeping)
        key_id = caller.principal.key_id
        self._places.take(key_id)
        try:
            queued = await behind.begin(model)
        except BaseException:
            self._places.give_back(key_id)
            raise
        self._pipeline.calls.later(self._behind(behind, key_id))
        headers = {**_JSON, **ids.headers(CREATE.codec.name, caller.request_id)}
        await exchange.answer(200, headers, msgspec.json.encode(queued))

    async def _behind(self, call: BackgroundCall, key_id: str) -> None:
        try:
            await call.run(self._pipeline, self._defaults, self._max_body_bytes)
        finally:
            self._places.give_back(key_id)

    async def _kept(self, caller: Caller, response_id: str) -> KeptResponse:
        keeping = self._keeping
        kept = await keeping.store.get(caller.principal.key_id, response_id) if keeping.kept else None
        if kept is None:
            message = f"no response with id {response_id} is kept for this key"
            raise ResponseNotFound(message, response_id=response_id)
        return kept

    def _shown(self, kept: KeptResponse, query: str) -> bytes:
        if parse_qs(query).get("stream", [""])[-1].lower() == "true":
            message = "stream: a kept response is not streamed again"
            raise ParameterUnsupported(message, field="stream")
        if kept.ends_at is not None and kept.ends_at < self._keeping.clock.now():
            # Its process ended without a word.
            told = b'{"error": {"message": "the process that made this response has ended"}}'
            return msgspec.json.encode(refused(msgspec.json.decode(kept.response), told))
        return kept.response

    async def _cancel(self, kept: KeptResponse, caller: Caller) -> bytes:
        response = msgspec.json.decode(kept.response)
        if kept.ends_at is None:
            if response.get("status") == "cancelled":
                return kept.response
            message = "only a response that is being made in the background can be cancelled"
            raise RequestInvalid(message, violations=(Violation("response_id", message),))
        cancelled = msgspec.json.encode(stored.cancelled(response))
        ended = replace(kept, response=cancelled, ends_at=None)
        if not await self._keeping.store.settle(ended):
            return (await self._kept(caller, kept.response_id)).response
        try:
            self._pipeline.calls.cancel(kept.request_id, caller.principal)
        except LlmhubError:
            await self._cancel_elsewhere(kept.request_id, caller)
        return cancelled

    async def _cancel_elsewhere(self, request_id: str, caller: Caller) -> None:
        key = (("authorization", f"Bearer {caller.token}"),)
        try:
            await self._peers.cancel(CancelRequest(request_id=request_id), key)
        except LlmhubError:
            # It is between two attempts of the process to say how it ended; what it says comes too late.
            return


def _parts(path: str) -> Sequence[str]:
    rest = path.removeprefix(f"{ROOT}/")
    return [unquote(part) for part in rest.split("/")] if rest != path and rest else []


def _page(items: list[dict[str, Any]], query: str) -> bytes:
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    order, limit = asked.get("order", "desc"), asked.get("limit", str(_PAGE))
    if order not in {"asc", "desc"}:
        raise _invalid("order", "must be asc or desc")
    if not limit.isascii() or not limit.isdigit() or len(limit) > 9 or not 1 <= int(limit) <= _LARGEST_PAGE:
        raise _invalid("limit", f"must be 1 to {_LARGEST_PAGE}")
    ordered = items if order == "asc" else items[::-1]
    start = 0
    if after := asked.get("after"):
        places = [number for number, item in enumerate(ordered) if item.get("id") == after]
        if not places:
            raise _invalid("after", "is no item of this response")
        start = places[0] + 1
    data = ordered[start : start + int(limit)]
    page = {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": start + len(data) < len(ordered),
    }
    return msgspec.json.encode(page)


def _invalid(field: str, message: str) -> RequestInvalid:
    return RequestInvalid(f"{field}: {message}", violations=(Violation(field, message),))
