"""Accounts on platforms, called through their adapters: what the tests of all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import Message, Part, Role
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.providers.domain.adapter import Adapter
from services.providers.settings import Account
from services.providers.wiring import adapter_for
from tests.support.replay import Replay

CHAT: Mapping[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
}


def hosted(replay: Replay, name: str, dialect: str, suffix: str = "", **settings: Any) -> Account:
    """Return an account at the replay server."""
    return Account(
        name=name, dialect=dialect, base_url=f"http://127.0.0.1:{replay.port}/{name}{suffix}", **settings
    )


def secret(text: str) -> SecretStr:
    """Return a secret."""
    return SecretStr(text)


def attempt(provider: str, model: str) -> pb.Attempt:
    """Return an attempt."""
    return pb.Attempt(attempt_id="a", request_id="r", provider=provider, model=model)


def question(text: str = "hi") -> GenerateRequest:
    """Return a short question."""
    request = GenerateRequest(model="p/m", messages=[Message(role=Role.ROLE_USER, parts=[Part(text=text)])])
    request.options.max_output_tokens = 10
    return request


async def asked(adapter: Adapter, provider: str, model: str) -> GenerateResponse:
    """Ask for a whole answer."""
    made = await adapter.generate(pb.GenerateRequest(attempt=attempt(provider, model), request=question()))
    return made.response


async def streamed(adapter: Adapter, provider: str, model: str) -> list[StreamEvent]:
    """Ask for a stream."""
    request = pb.GenerateStreamRequest(attempt=attempt(provider, model), request=question())
    return [event async for message in adapter.generate_stream(request) for event in message.events]


async def relayed(
    adapter: Adapter,
    provider: str,
    model: str,
    endpoint: pb.Endpoint.ValueType,
    body: bytes,
    *,
    stream: bool = False,
    headers: Mapping[str, str] | None = None,
) -> list[pb.RelayResponse]:
    """Send a body as it is."""
    request = pb.RelayRequest(
        attempt=attempt(provider, model), endpoint=endpoint, body=body, stream=stream, headers=headers or {}
    )
    return [piece async for piece in adapter.relay(request)]


async def embedded(adapter: Adapter, provider: str, model: str, *texts: str) -> list[list[float]]:
    """Ask for vectors."""
    wanted = EmbedRequest(model="p/m")
    for text in texts:
        wanted.inputs.add(text=text)
    made = await adapter.embed(pb.EmbedRequest(attempt=attempt(provider, model), request=wanted))
    return [list(each.floats.values) for each in made.response.embeddings]


__all__ = [
    "CHAT",
    "adapter_for",
    "asked",
    "attempt",
    "embedded",
    "hosted",
    "question",
    "relayed",
    "secret",
    "streamed",
]
