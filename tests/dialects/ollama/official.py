"""What the official SDK makes of bytes: the second opinion on every answer."""

from __future__ import annotations

from typing import Any

import httpx
from ollama import ChatResponse, Client, EmbeddingsResponse, EmbedResponse, ResponseError
from pydantic import TypeAdapter


def client(status: int, body: bytes) -> Client:
    """A client to which every request gets this answer."""
    return Client(
        "http://test", transport=httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    )


def whole_answer(body: bytes) -> ChatResponse:
    """The answer that the SDK reads."""
    return client(200, body).chat("m", [{"role": "user", "content": "?"}])


def streamed_answers(body: bytes) -> list[ChatResponse]:
    """The lines that the SDK reads; raises what the SDK raises."""
    return list(client(200, body).chat("m", [{"role": "user", "content": "?"}], stream=True))


def embedded(body: bytes) -> EmbedResponse:
    """The vectors that the SDK reads."""
    return client(200, body).embed("m", "x")


def embedded_of_old(body: bytes) -> EmbeddingsResponse:
    """The vector that the SDK reads from the older endpoint."""
    return client(200, body).embeddings("m", "x")


def error_of(status: int, body: bytes) -> ResponseError:
    """The exception that the SDK raises."""
    try:
        client(status, body).chat("m", [])
    except ResponseError as error:
        return error
    raise AssertionError("the SDK raised nothing")


def sent_body(request: dict[str, Any]) -> bytes:
    """The body that the SDK sends for these arguments; raises what the SDK raises."""
    seen: list[bytes] = []
    answer = b'{"message":{"role":"assistant"}}'

    def take(sent: httpx.Request) -> httpx.Response:
        seen.append(sent.read())
        return httpx.Response(200, content=answer)

    Client("http://test", transport=httpx.MockTransport(take)).chat(**request)
    (body,) = seen
    return body


def by_value(answer: ChatResponse) -> dict[str, Any]:
    """The answer's members that are told."""
    found: dict[str, Any] = TypeAdapter(ChatResponse).dump_python(answer, exclude_none=True)
    return found
