"""A codec on a transport: what is added on the way out and on the way in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import Message, Part, Role
from services.providers.credentials import eraser
from services.providers.domain.adapter import Adapter
from services.providers.settings import Account, Limits, ProvidersSettings
from services.providers.wiring import adapter_for
from services.runtime.errors import (
    LlmhubError,
    ProviderNotConfigured,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamTimeout,
)
from services.runtime.status import to_message
from tests.support import faults
from tests.support.replay import Replay, upstream_key

THOUGHT = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 4},
}


@pytest.fixture
def provider() -> Iterator[Replay]:
    with Replay() as server:
        yield server
    assert not server.faults


def account(provider: Replay, **changes: object) -> Account:
    base = Account(
        name="claude",
        dialect="anthropic",
        base_url=provider.base_url("claude", "anthropic"),
        api_key=SecretStr(upstream_key("claude")),
    )
    return base.model_copy(update=changes)


@pytest.fixture
async def adapter(provider: Replay) -> AsyncIterator[Adapter]:
    async with adapter_for(account(provider), ProvidersSettings()) as opened:
        yield opened


def attempt() -> pb.Attempt:
    return pb.Attempt(attempt_id="a", request_id="r", provider="claude", model="m")


def question() -> GenerateRequest:
    request = GenerateRequest(
        model="claude/m", messages=[Message(role=Role.ROLE_USER, parts=[Part(text="hi")])]
    )
    request.options.max_output_tokens = 10
    return request


async def test_opaque_state_says_where_it_comes_from(provider: Replay, adapter: Adapter) -> None:
    provider.answer("claude", "m", faults.answer(200, THOUGHT))
    answer = (await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=question()))).response
    state = answer.candidates[0].parts[0].state
    assert (state.dialect, state.provider, state.model) == ("anthropic", "claude", "m")
    assert answer.HasField("created_at")


async def relay(adapter: Adapter, headers: dict[str, str], *, stream: bool = False) -> list[pb.RelayResponse]:
    request = pb.RelayRequest(
        attempt=attempt(),
        endpoint=pb.Endpoint.ENDPOINT_ANTHROPIC_MESSAGES,
        body=b'{"model":"claude/m","max_tokens":10,"messages":[]}',
        stream=stream,
        headers=headers,
    )
    return [piece async for piece in adapter.relay(request)]


async def test_a_relay_sends_the_version_header_and_only_headers_of_the_dialect(
    provider: Replay, adapter: Adapter
) -> None:
    provider.answer("claude", "m", faults.answer(200, THOUGHT))
    await relay(adapter, {"anthropic-beta": "x-1", "cookie": "secret", "authorization": "Bearer caller"})
    await relay(adapter, {"anthropic-version": "2099-01-01"})
    first, second = provider.journal.since()
    assert first.headers["anthropic-version"] == "2023-06-01"
    assert first.headers["anthropic-beta"] == "x-1"
    assert "cookie" not in first.headers
    assert "authorization" not in first.headers
    assert second.headers["anthropic-version"] == "2099-01-01"


async def test_a_whole_relayed_answer_is_not_held_to_the_first_tokens_limit(provider: Replay) -> None:
    gate = faults.Gate()
    provider.answer("claude", "m", (gate, *faults.answer(200, THOUGHT)))
    limits = Limits(first_token=0.05, total=0.3)
    async with adapter_for(account(provider, limits=limits), ProvidersSettings()) as adapter:
        with pytest.raises(UpstreamTimeout) as whole:
            await relay(adapter, {})
        with pytest.raises(UpstreamTimeout) as streamed:
            await relay(adapter, {}, stream=True)
    assert whole.value.metadata["phase"] == "total"
    assert streamed.value.metadata["phase"] == "first_token"
    gate.open()


@pytest.mark.parametrize("body", [b"", b'event: ping\ndata: {"type":"ping"}\n\n'], ids=["nothing", "ping"])
async def test_a_stream_that_ends_before_its_end_is_the_providers_failure(
    provider: Replay, adapter: Adapter, body: bytes
) -> None:
    provider.answer("claude", "m", faults.events([body]))
    with pytest.raises(LlmhubError) as caught:
        async for _ in adapter.generate_stream(
            pb.GenerateStreamRequest(attempt=attempt(), request=question())
        ):
            pass
    assert caught.value.reason in {"UPSTREAM_FAILED", "UPSTREAM_PROTOCOL"}
    with pytest.raises(UpstreamFailed):
        await relay(adapter, {}, stream=True)


async def test_a_provider_without_its_key_says_what_is_missing(provider: Replay) -> None:
    lacking = account(provider, missing=("CLAUDE_KEY is not set",))
    async with adapter_for(lacking, ProvidersSettings()) as adapter:
        with pytest.raises(ProviderNotConfigured, match="CLAUDE_KEY"):
            await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=question()))
    assert not provider.journal.since()


async def test_a_provider_that_quotes_its_key_does_not_tell_it_to_the_caller(
    provider: Replay, adapter: Adapter
) -> None:
    key = upstream_key("claude")
    quoting = {"type": "error", "error": {"type": "authentication_error", "message": f"no such key: {key}"}}
    provider.answer("claude", "m", faults.answer(401, quoting))
    (relayed,) = await relay(adapter, {})
    assert key not in str(relayed)
    assert b"no such key: ***" in relayed.data
    assert relayed.head.headers["x-llmhub-error-source"] == "upstream"
    assert relayed.head.headers["x-llmhub-upstream-status"] == "401"
    with pytest.raises(LlmhubError) as refused:
        await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=question()))
    assert key not in str(to_message(refused.value))


KEY = upstream_key("claude").encode()
QUOTED = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"no key %b!"}}\n\n' % KEY
BEGUN = b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"m"}}\n\n'


@pytest.mark.parametrize(
    "pieces",
    [
        [BEGUN, QUOTED],
        [BEGUN + QUOTED],
        [BEGUN, QUOTED[:80], QUOTED[80:]],
        [BEGUN + QUOTED[:80], QUOTED[80:90], QUOTED[90:]],
        [BEGUN, *(bytes([byte]) for byte in QUOTED)],
        [BEGUN, QUOTED, QUOTED[:85], QUOTED[85:]],
    ],
    ids=["alone", "with others", "in two", "in three", "byte by byte", "twice"],
)
async def test_an_error_event_that_quotes_the_key_does_not_tell_it(
    provider: Replay, adapter: Adapter, pieces: list[bytes]
) -> None:
    provider.answer("claude", "m", faults.events(pieces))
    relayed: list[pb.RelayResponse] = []
    with pytest.raises(UpstreamFailed):
        request = pb.RelayRequest(
            attempt=attempt(),
            endpoint=pb.Endpoint.ENDPOINT_ANTHROPIC_MESSAGES,
            body=b'{"model":"claude/m","max_tokens":10,"messages":[],"stream":true}',
            stream=True,
        )
        async for piece in adapter.relay(request):
            relayed.append(piece)  # noqa: PERF401 - the stream raises at its end
    data = b"".join(piece.data for piece in relayed)
    assert KEY[:8] not in data
    assert data == b"".join(pieces).replace(KEY, b"***")
    assert any(piece.progress.HasField("error") for piece in relayed)
    assert KEY.decode() not in str(relayed)
    with pytest.raises(LlmhubError) as refused:
        async for _ in adapter.generate_stream(
            pb.GenerateStreamRequest(attempt=attempt(), request=question())
        ):
            pass
    assert "no key ***!" in refused.value.message
    assert KEY.decode() not in str(to_message(refused.value))


async def test_an_error_in_a_whole_answer_that_quotes_the_key_does_not_tell_it(
    provider: Replay, adapter: Adapter
) -> None:
    provider.answer("claude", "m", faults.answer(200, {"type": "error", "error": {"message": KEY.decode()}}))
    (relayed,) = await relay(adapter, {})
    assert KEY.decode() not in str(relayed)
    with pytest.raises(LlmhubError) as refused:
        await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=question()))
    assert KEY.decode() not in str(to_message(refused.value))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_redirect_is_an_answer_that_makes_no_sense(
    provider: Replay, adapter: Adapter, stream: bool
) -> None:
    provider.answer("claude", "m", faults.redirect("http://127.0.0.1:9/elsewhere"))
    with pytest.raises(UpstreamProtocol, match="redirect"):
        await relay(adapter, {}, stream=stream)
    with pytest.raises(UpstreamProtocol, match="redirect"):
        await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=question()))


def test_short_values_and_absent_keys_erase_nothing() -> None:
    plain = Account(name="p", dialect="openai", headers={"x-version": SecretStr("2024-1")})
    assert eraser(plain)(b"version 2024-1") == b"version 2024-1"
    both = Account(
        name="p",
        dialect="openai",
        api_key=SecretStr("0123456789"),
        headers={"authorization": SecretStr("Token 0123456789abc")},
    )
    assert eraser(both)(b"0123456789abc, 0123456789; Token") == b"***, ***; Token"
