"""What the official SDK makes of bytes: the second opinion on every answer."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
from anthropic.types.beta import BetaMessage

from tests.support.exchanges import Exchange


def _client(status: int, headers: dict[str, str], body: bytes) -> anthropic.Anthropic:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers=headers, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="none", base_url="http://test", max_retries=0, http_client=http)


_ASK: dict[str, Any] = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "?"}]}


def whole_message(body: bytes) -> BetaMessage:
    """The message the SDK reads from a whole answer."""
    with _client(200, {"content-type": "application/json"}, body) as client:
        message: BetaMessage = client.beta.messages.create(**_ASK)
        return message


def streamed_message(body: bytes) -> BetaMessage:
    """The message the SDK accumulates from a stream; raises what the SDK raises."""
    with (
        _client(200, {"content-type": "text/event-stream"}, body) as client,
        client.beta.messages.stream(**_ASK) as stream,
    ):
        return stream.get_final_message()


def message_of(exchange: Exchange) -> BetaMessage:
    """The message the SDK reads from a recording."""
    read = streamed_message if exchange.streaming else whole_message
    return read(exchange.answer)


def counted_tokens(body: bytes) -> int:
    """The count the SDK reads."""
    with _client(200, {"content-type": "application/json"}, body) as client:
        return client.messages.count_tokens(
            model="m", messages=[{"role": "user", "content": "?"}]
        ).input_tokens


def error_of(status: int, headers: dict[str, str], body: bytes) -> anthropic.APIStatusError:
    """The typed exception the SDK raises."""
    with _client(status, headers, body) as client:
        try:
            client.messages.create(**_ASK)
        except anthropic.APIStatusError as error:
            return error
    raise AssertionError("the SDK raised nothing")
