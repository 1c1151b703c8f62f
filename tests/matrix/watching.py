"""What SDKs do not show: the losses that an answer's header and a stream's comments tell of."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any, Final

import httpx
import httpx2

LOSSES: Final[ContextVar[list[str]]] = ContextVar("LOSSES")
"""Where the losses of the call that runs in this context are noted."""
_COMMENT: Final = b": llmhub-warning "


def worded(kind: str, field: str, message: str) -> str:
    """Return a loss in one line."""
    return f"{kind} {field}: {message}"


def _note(warning: dict[str, str]) -> None:
    LOSSES.get().append(worded(warning["kind"], warning["field"], warning["message"]))


class _Watched:
    """A body that is read for comments as it passes."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._line = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._body:
            *lines, self._line = (self._line + data).split(b"\n")
            for line in lines:
                if line.startswith(_COMMENT):
                    _note(json.loads(line[len(_COMMENT) :]))
            yield data

    async def aclose(self) -> None:
        await self._body.aclose()


async def _take(response: Any, stream: Any) -> Any:
    for warning in json.loads(response.headers.get("x-llmhub-warnings", "[]")):
        _note(warning)
    response.stream = stream
    return response


class _Body(_Watched, httpx.AsyncByteStream):
    pass


class _Body2(_Watched, httpx2.AsyncByteStream):
    pass


class _Transport(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        watched: httpx.Response = await _take(response, _Body(response.stream))
        return watched


class _Transport2(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        watched: httpx2.Response = await _take(response, _Body2(response.stream))
        return watched


def client(seconds: float) -> httpx.AsyncClient:
    """Return the client to give to Google's SDK."""
    return httpx.AsyncClient(transport=_Transport(), timeout=seconds)


def client2(seconds: float) -> httpx2.AsyncClient:
    """Return the client to give to the SDKs of OpenAI and Anthropic."""
    return httpx2.AsyncClient(transport=_Transport2(), timeout=seconds)
