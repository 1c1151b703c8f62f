"""What the official SDK makes of bytes: the second opinion on every answer."""

from __future__ import annotations

from typing import Any

import httpx
from cohere import ClientV2, EmbedByTypeResponse, V2ChatResponse
from cohere.core.api_error import ApiError

_ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "?"}]}


def client(status: int, headers: dict[str, str], body: bytes) -> ClientV2:
    """A client to which every request gets this answer."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, content=body))
    return ClientV2(api_key="none", base_url="http://test", httpx_client=httpx.Client(transport=transport))


def whole_answer(body: bytes) -> V2ChatResponse:
    """The answer that the SDK reads."""
    return client(200, {"content-type": "application/json"}, body).chat(**_ASK)


def streamed_events(body: bytes) -> list[Any]:
    """The events that the SDK reads."""
    return list(client(200, {"content-type": "text/event-stream"}, body).chat_stream(**_ASK))


def embedded(body: bytes) -> EmbedByTypeResponse:
    """The vectors that the SDK reads."""
    headers = {"content-type": "application/json"}
    return client(200, headers, body).embed(model="m", input_type="search_document", texts=["x"])


def error_of(status: int, body: bytes) -> ApiError:
    """The typed exception that the SDK raises."""
    try:
        client(status, {"content-type": "application/json"}, body).v2.chat(
            **_ASK, request_options={"max_retries": 0}
        )
    except ApiError as error:
        return error
    raise AssertionError("the SDK raised nothing")


def sent_body(request: dict[str, Any]) -> bytes:
    """The body that the SDK sends for these arguments; raises what the SDK raises."""
    seen: list[bytes] = []

    def answer(sent: httpx.Request) -> httpx.Response:
        seen.append(sent.content)
        return httpx.Response(
            200, json={"id": "1", "finish_reason": "COMPLETE", "message": {"role": "assistant"}}
        )

    http = httpx.Client(transport=httpx.MockTransport(answer))
    ClientV2(api_key="none", base_url="http://test", httpx_client=http).chat(**request)
    (body,) = seen
    return body
