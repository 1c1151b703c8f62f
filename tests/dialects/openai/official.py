"""What the official SDK makes of bytes: the second opinion on every answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

_ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "?"}]}


@contextmanager
def client(status: int, headers: dict[str, str], body: bytes) -> Iterator[openai.OpenAI]:
    """A client to whom every request is answered with this."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers=headers, content=body)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http,
        openai.OpenAI(api_key="none", base_url="http://test", max_retries=0, http_client=http) as made,
    ):
        yield made


def whole(body: bytes) -> ChatCompletion:
    """The completion that the SDK reads."""
    with client(200, {"content-type": "application/json"}, body) as sdk:
        completion: ChatCompletion = sdk.chat.completions.create(**_ASK)
        return completion


def streamed(body: bytes) -> list[ChatCompletionChunk]:
    """The chunks that the SDK reads; raises what it raises."""
    with client(200, {"content-type": "text/event-stream"}, body) as sdk:
        return list(sdk.chat.completions.create(**_ASK, stream=True))


def embeddings(body: bytes) -> CreateEmbeddingResponse:
    """The embeddings that the SDK reads."""
    with client(200, {"content-type": "application/json"}, body) as sdk:
        return sdk.embeddings.create(model="m", input="?", encoding_format="base64")


def error(status: int, headers: dict[str, str], body: bytes) -> openai.APIStatusError:
    """The typed exception that the SDK raises."""
    with client(status, headers, body) as sdk:
        try:
            sdk.chat.completions.create(**_ASK)
        except openai.APIStatusError as raised:
            return raised
    raise AssertionError("the SDK raised nothing")
