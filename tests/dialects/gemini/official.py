"""What Google's own SDK makes of bytes: the second opinion on every answer."""

from __future__ import annotations

import functools
from typing import Any

import httpx
from google import genai
from google.genai import errors, types
from google.genai.models import Models

_ASK: dict[str, Any] = {"model": "m", "contents": "?"}


class _Server:
    """One client for all tests, since making one is slow; it is told the next answer and keeps the last request."""

    def __init__(self) -> None:
        self.answer = httpx.Response(200)
        self.asked = b""
        http = httpx.Client(transport=httpx.MockTransport(self._serve))
        options = types.HttpOptions(base_url="http://test", api_version="v1beta", httpx_client=http)
        self.client = genai.Client(api_key="none", http_options=options)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.asked = request.content
        return self.answer


@functools.cache
def _server() -> _Server:
    return _Server()


def _models(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Models:
    server = _server()
    kind = {"content-type": "application/json"} if headers is None else headers
    server.answer = httpx.Response(status, headers=kind, content=body)
    return server.client.models


def whole(body: bytes) -> types.GenerateContentResponse:
    """The answer the SDK reads."""
    return _models(body).generate_content(**_ASK)


def streamed(body: bytes) -> list[types.GenerateContentResponse]:
    """The chunks the SDK reads from server-sent events; raises what the SDK raises."""
    models = _models(body, headers={"content-type": "text/event-stream"})
    return list(models.generate_content_stream(**_ASK))


def counted(body: bytes) -> types.CountTokensResponse:
    """The count the SDK reads."""
    return _models(body).count_tokens(**_ASK)


def embedded(body: bytes) -> types.EmbedContentResponse:
    """The vectors the SDK reads."""
    return _models(body).embed_content(**_ASK)


def error_of(status: int, headers: dict[str, str], body: bytes) -> errors.APIError:
    """The typed exception the SDK raises."""
    try:
        _models(body, status, headers).generate_content(**_ASK)
    except errors.APIError as error:
        return error
    raise AssertionError("the SDK raised nothing")


def asked(**config: Any) -> bytes:
    """The body of a request that the SDK writes."""
    _models(b'{"candidates":[]}').generate_content(**{**_ASK, **config})
    return _server().asked
