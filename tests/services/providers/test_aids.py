"""What every adapter is helped with: fetched URLs, and counts that learn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator

import pytest
from pydantic import SecretStr

from llmhub.completion.v1.completion_service_pb2 import (
    CountTokensResponse,
    GenerateRequest,
    GenerateResponse,
    UnsupportedPolicy,
)
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import Media, MediaKind, Message, Part, Role
from llmhub.types.v1.generation_pb2 import WarningKind
from llmhub.types.v1.stream_pb2 import Finished, Started, StreamEvent
from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.providers.aids import Aids
from services.providers.domain.adapter import Adapter
from services.providers.fetch_settings import FetchSettings
from services.providers.fetcher import Fetched, Fetcher, Wanted
from services.providers.settings import Account, ProvidersSettings
from services.runtime.errors import OperationUnsupported, ParameterUnsupported, UpstreamFailed
from tests.support import faults
from tests.support.replay import Replay, upstream_key

PICTURE = "https://pictures.example/a.png?token=1"
TEXT = "Ein längerer Text, den dieses Modell anders zerlegt, als man denken könnte. " * 30


class Echo:
    """An adapter that keeps what it was asked and reports the usage it is given."""

    def __init__(self, usage: Usage | None = None) -> None:
        self.usage = usage or Usage(input_tokens=1)
        self.seen: list[GenerateRequest] = []
        self.counts: Callable[[], CountTokensResponse] | None = None
        self.asked = 0

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        self.seen.append(request.request)
        return pb.GenerateResponse(response=GenerateResponse(usage=self.usage))

    async def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        self.seen.append(request.request)
        yield pb.GenerateStreamResponse(events=[StreamEvent(started=Started())])
        yield pb.GenerateStreamResponse(
            events=[StreamEvent(finished=Finished(complete=True))],
            progress=pb.Progress(usage=self.usage, complete=True),
        )

    async def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        yield pb.RelayResponse(head=pb.RelayHead(status=200))
        yield pb.RelayResponse(progress=pb.Progress(usage=self.usage, complete=True))

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        self.asked += 1
        if self.counts is None:
            raise OperationUnsupported("no count here", provider="p")
        return pb.CountTokensResponse(response=self.counts())

    async def models(self) -> list[str]:
        return []

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        raise OperationUnsupported("no embeddings here", provider="p")


class Shelf(Fetcher):
    """A fetcher that has everything at hand."""

    def __init__(self, *, enabled: bool) -> None:
        super().__init__(FetchSettings(enabled=enabled))
        self.fetched: list[Wanted] = []

    async def fetch(self, wanted: list[Wanted], seconds: float | None = None) -> dict[str, Fetched]:
        self.fetched += wanted
        return {each.url: Fetched(b"bytes of " + each.url.encode(), "image/png") for each in wanted}


@pytest.fixture
async def aids() -> AsyncIterator[Aids]:
    async with Aids(FetchSettings()) as opened:
        yield opened


def helped(
    aids: Aids, inner: Adapter, dialect: str = "ollama", *, enabled: bool = True
) -> tuple[Adapter, Shelf]:
    shelf = Shelf(enabled=enabled)
    aids.fetcher = shelf
    return aids.help(inner, Account(name="p", dialect=dialect)), shelf


def attempt(model: str = "m") -> pb.Attempt:
    return pb.Attempt(attempt_id="a", request_id="r", provider="p", model=model)


def said(*parts: Part) -> GenerateRequest:
    return GenerateRequest(model="p/m", messages=[Message(role=Role.ROLE_USER, parts=parts)])


def picture() -> Part:
    return Part(media=Media(kind=MediaKind.MEDIA_KIND_IMAGE, url=PICTURE))


async def drained(stream: AsyncGenerator[pb.GenerateStreamResponse, None]) -> list[StreamEvent]:
    return [event async for message in stream for event in message.events]


async def test_a_url_out_of_reach_arrives_as_content_with_a_warning(aids: Aids) -> None:
    inner = Echo()
    adapter, _ = helped(aids, inner)
    request = said(Part(text="what is this?"), picture())
    answer = await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=request))
    media = inner.seen[0].messages[0].parts[1].media
    assert (media.data, media.mime_type) == (b"bytes of " + PICTURE.encode(), "image/png")
    assert request.messages[0].parts[1].media.url == PICTURE
    (warning,) = answer.response.warnings
    assert (warning.kind, warning.field) == (
        WarningKind.WARNING_KIND_EMULATED,
        "messages[0].parts[1].media",
    )
    assert "token" not in warning.message


async def test_a_stream_says_so_at_both_its_ends(aids: Aids) -> None:
    inner = Echo()
    adapter, _ = helped(aids, inner)
    events = await drained(
        adapter.generate_stream(pb.GenerateStreamRequest(attempt=attempt(), request=said(picture())))
    )
    assert inner.seen[0].messages[0].parts[0].media.data
    assert [len(events[0].started.warnings), len(events[-1].finished.warnings)] == [1, 1]


async def test_a_caller_who_refuses_emulation_is_refused_before_anything_is_fetched(aids: Aids) -> None:
    inner = Echo()
    adapter, shelf = helped(aids, inner)
    request = said(picture())
    request.unsupported = UnsupportedPolicy.UNSUPPORTED_POLICY_REFUSE
    with pytest.raises(ParameterUnsupported):
        await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=request))
    assert (inner.seen, shelf.fetched) == ([], [])


@pytest.mark.parametrize(("dialect", "enabled"), [("openai", True), ("anthropic", True), ("ollama", False)])
async def test_nothing_is_fetched_where_the_target_does_or_the_operator_does_not(
    aids: Aids, dialect: str, enabled: bool
) -> None:
    inner = Echo()
    adapter, shelf = helped(aids, inner, dialect, enabled=enabled)
    await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=said(picture())))
    assert inner.seen[0].messages[0].parts[0].media.url == PICTURE
    assert shelf.fetched == []


@pytest.mark.parametrize(
    ("dialect", "model", "fetched"),
    [
        ("bedrock", "anthropic.claude-sonnet-4-v1:0", True),
        ("vertex", "claude-sonnet-4@20250514", True),
        ("vertex", "gemini-2.5-flash", True),
        ("cohere", "command-a", False),
        ("some-plugin", "m", True),
    ],
)
async def test_reach_goes_by_what_the_model_speaks_and_who_hosts_it(
    aids: Aids, dialect: str, model: str, fetched: bool
) -> None:
    adapter, shelf = helped(aids, Echo(), dialect)
    await adapter.generate(pb.GenerateRequest(attempt=attempt(model), request=said(picture())))
    assert bool(shelf.fetched) is fetched


async def count(adapter: Adapter, request: GenerateRequest, model: str = "m") -> CountTokensResponse:
    return (
        await adapter.count_tokens(pb.CountTokensRequest(attempt=attempt(model), request=request))
    ).response


async def test_a_provider_without_a_count_is_counted_for(aids: Aids) -> None:
    adapter, _ = helped(aids, Echo(), "openai")
    exact = await count(adapter, said(Part(text="hello world")), "gpt-4o")
    assert (exact.input_tokens, exact.measure) == (9, Measure.MEASURE_COUNTED)
    guess = await count(adapter, said(Part(text="hello world")), "llama-4")
    assert guess.measure == Measure.MEASURE_ESTIMATED


async def test_a_provider_s_own_count_goes_first_and_is_kept(aids: Aids) -> None:
    inner = Echo()
    inner.counts = lambda: CountTokensResponse(input_tokens=77, measure=Measure.MEASURE_VENDOR)
    adapter, _ = helped(aids, inner, "anthropic")
    for _ in range(2):
        found = await count(adapter, said(Part(text="hello")))
        assert (found.input_tokens, found.measure) == (77, Measure.MEASURE_VENDOR)
    assert inner.asked == 1
    await count(adapter, said(Part(text="hello!")))
    assert inner.asked == 2


async def test_a_count_that_fails_is_no_reason_to_guess(aids: Aids) -> None:
    def fail() -> CountTokensResponse:
        raise UpstreamFailed("down", provider="p")

    inner = Echo()
    inner.counts = fail
    adapter, _ = helped(aids, inner, "anthropic")
    with pytest.raises(UpstreamFailed):
        await count(adapter, said(Part(text="hello")))


async def whole(adapter: Adapter) -> None:
    await adapter.generate(pb.GenerateRequest(attempt=attempt(), request=said(Part(text=TEXT))))


async def streamed(adapter: Adapter) -> None:
    await drained(
        adapter.generate_stream(pb.GenerateStreamRequest(attempt=attempt(), request=said(Part(text=TEXT))))
    )


async def relayed(adapter: Adapter) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"%s"}]}' % TEXT.encode()
    endpoint = pb.Endpoint.ENDPOINT_OPENAI_CHAT
    request = pb.RelayRequest(attempt=attempt(), endpoint=endpoint, body=body)
    assert [piece async for piece in adapter.relay(request)]


@pytest.mark.parametrize("call", [whole, streamed, relayed])
async def test_a_guess_learns_from_every_way_to_call(
    aids: Aids, call: Callable[[Adapter], Awaitable[None]]
) -> None:
    inner = Echo()
    adapter, _ = helped(aids, inner)
    before = (await count(adapter, said(Part(text=TEXT)))).input_tokens
    inner.usage = Usage(input_tokens=before, cache_read_tokens=before)
    await call(adapter)
    await asyncio.wrap_future(aids.counter._thread.submit(bool))
    after = await count(adapter, said(Part(text=TEXT)))
    assert after.input_tokens > 1.3 * before
    assert after.measure == Measure.MEASURE_ESTIMATED


async def test_a_broken_relayed_body_teaches_nothing_and_breaks_nothing(aids: Aids) -> None:
    adapter, _ = helped(aids, Echo(Usage(input_tokens=5)))
    request = pb.RelayRequest(attempt=attempt(), endpoint=pb.Endpoint.ENDPOINT_OPENAI_CHAT, body=b"{")
    assert [piece async for piece in adapter.relay(request)]
    await asyncio.wrap_future(aids.counter._thread.submit(bool))
    assert aids.counter.calibration.factor("p", "m") == 1.0


@pytest.fixture
def provider() -> Iterator[Replay]:
    with Replay() as server:
        yield server
    assert not server.faults


async def test_an_openai_account_counts_without_asking_anyone(provider: Replay, aids: Aids) -> None:
    account = Account(
        name="o",
        dialect="openai",
        base_url=provider.base_url("o", "openai"),
        api_key=SecretStr(upstream_key("o")),
    )
    async with aids.open(account, ProvidersSettings()) as adapter:
        found = await count(adapter, said(Part(text="hello world")), "gpt-4o")
    assert found.input_tokens == 9
    assert not provider.journal.since()


async def test_an_anthropic_account_asks_anthropic(provider: Replay, aids: Aids) -> None:
    account = Account(
        name="c",
        dialect="anthropic",
        base_url=provider.base_url("c", "anthropic"),
        api_key=SecretStr(upstream_key("c")),
    )
    provider.answer("c", "m", faults.answer(200, {"input_tokens": 11}))
    async with aids.open(account, ProvidersSettings()) as adapter:
        for _ in range(2):
            found = await count(adapter, said(Part(text="hello world")))
            assert (found.input_tokens, found.measure) == (11, Measure.MEASURE_VENDOR)
    assert len(provider.journal.since()) == 1
