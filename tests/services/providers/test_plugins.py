"""Providers from other packages: found, opened, closed, and alone with their failures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.provider.v1.provider_service_pb2_grpc import ProviderServiceStub
from services.mesh import loading, resolve
from services.providers import app as providers_app
from services.providers.settings import Account, ProvidersSettings
from services.providers.wiring import adapter_for
from services.runtime.errors import (
    OperationUnsupported,
    ProviderNotConfigured,
    UpstreamFailed,
    UpstreamRateLimited,
)
from services.runtime.in_process import InProcessServer
from services.runtime.interceptors.errors import ErrorsInterceptor
from tests.support.installed import install
from tests.support.platforms import asked, attempt, question, streamed

GOOD = """
from contextlib import asynccontextmanager
from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.stream_pb2 import BlockDelta, BlockStart, BlockStop, Finished, Started, StreamEvent
from services.providers.plugin import PluginAdapter
from services.runtime.errors import UpstreamRateLimited

LIFE = []

@asynccontextmanager
async def echo(account):
    LIFE.append("open " + account.options.get("mark", ""))
    yield Echo(account)
    LIFE.append("closed")

class Echo(PluginAdapter):
    async def generate(self, request):
        match request.attempt.model:
            case "limited":
                raise UpstreamRateLimited("slow down", retry_after=3)
            case "crash":
                raise ZeroDivisionError("secret of the plug-in")
            case "exit":
                raise SystemExit(3)
            case "none":
                return None
        text = request.request.messages[0].parts[0].text
        return pb.GenerateResponse(response=GenerateResponse(candidates=[Candidate(parts=[Part(text=text)])]))

    async def generate_stream(self, request):
        yield pb.GenerateStreamResponse(events=[
            StreamEvent(started=Started()), StreamEvent(block_start=BlockStart(part=Part(text="")))])
        yield pb.GenerateStreamResponse(events=[StreamEvent(block_delta=BlockDelta(text="hi"))])
        if request.attempt.model == "crash":
            raise KeyError("in the middle")
        if request.attempt.model == "short":
            return
        yield pb.GenerateStreamResponse(events=[
            StreamEvent(block_stop=BlockStop()), StreamEvent(finished=Finished(complete=True))])
"""


OPENS_BADLY = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def broken(account):
    raise OSError("inside")
    yield
"""


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Account:
    install(monkeypatch, tmp_path, "echo", {"echo": "echo_plugin:echo"}, echo_plugin=GOOD)
    return Account(name="mine", dialect="echo", options={"mark": "x"})


async def test_a_plug_in_lives_as_long_as_its_account(echo: Account) -> None:
    async with adapter_for(echo, ProvidersSettings()) as adapter:
        answer = await asked(adapter, "mine", "m")
        assert answer.candidates[0].parts[0].text == "hi"
        assert answer.HasField("created_at")
        with pytest.raises(OperationUnsupported):
            await adapter.models()
        import echo_plugin  # type: ignore[import-not-found]

        assert echo_plugin.LIFE == ["open x"]
    assert echo_plugin.LIFE == ["open x", "closed"]


async def test_events_are_numbered_and_measured_for_it(echo: Account) -> None:
    async with adapter_for(echo, ProvidersSettings()) as adapter:
        events = await streamed(adapter, "mine", "m")
        request = pb.GenerateStreamRequest(attempt=attempt("mine", "m"), request=question())
        progress = [message.progress async for message in adapter.generate_stream(request)]
    assert [event.sequence for event in events] == list(range(5))
    assert events[0].started.provider == "mine"
    assert [each.output_characters for each in progress] == [0, 2, 2]
    assert [each.complete for each in progress] == [False, False, True]


@pytest.mark.parametrize("model", ["crash", "exit", "none"])
async def test_what_it_raises_is_its_providers_failure(
    echo: Account, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with adapter_for(echo, ProvidersSettings()) as adapter:
        with pytest.raises(UpstreamFailed, match="plug-in echo") as failed:
            await asked(adapter, "mine", model)
        with pytest.raises(UpstreamRateLimited):
            await asked(adapter, "mine", "limited")
    assert "secret" not in str(failed.value)
    assert model == "none" or "'dialect': 'echo'" in caplog.text
    assert failed.value.metadata["provider"] == "mine"


@pytest.mark.parametrize("model", ["crash", "short"])
async def test_a_stream_that_stops_is_never_whole(echo: Account, model: str) -> None:
    async with adapter_for(echo, ProvidersSettings()) as adapter:
        with pytest.raises(UpstreamFailed, match="plug-in echo"):
            await streamed(adapter, "mine", model)


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('at import')",
        "import a_module_that_is_not_there",
        "raise SystemExit(1)",
        "def broken(account): raise ValueError('at open')",
        "broken = 5",
        OPENS_BADLY,
    ],
)
async def test_one_that_cannot_be_opened_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    install(monkeypatch, tmp_path, "broken", {"broken": "broken_plugin:broken"}, broken_plugin=source)
    accounts = {
        "bad": Account(name="bad", dialect="broken"),
        "sim": Account(name="sim", dialect="sim"),
    }
    async for stub in served(accounts):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Generate(pb.GenerateRequest(attempt=attempt("bad", "m"), request=question()))
        assert "plug-in broken cannot be opened" in str(refused.value.details())
        answer = await stub.Generate(pb.GenerateRequest(attempt=attempt("sim", "echo"), request=question()))
        assert answer.response.candidates
        checks = (await stub.Check(pb.CheckRequest(provider="bad", model="m"))).checks
        assert "cannot be opened" in checks[0].message


async def served(accounts: dict[str, Account]) -> AsyncIterator[ProviderServiceStub]:
    server = InProcessServer([ErrorsInterceptor()])
    channels = NoChannels()
    async with providers_app.build(ProvidersSettings(accounts=accounts), channels) as hosted:
        hosted.register(server)
        yield ProviderServiceStub(server.channel())


class NoChannels:
    def to(self, service: str) -> grpc.aio.Channel:
        raise AssertionError(service)

    def to_provider(self, provider: str) -> grpc.aio.Channel:
        raise AssertionError(provider)


async def test_two_packages_with_one_name_are_told_apart_by_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path / "1", "one", {"twice": "one:x"})
    install(monkeypatch, tmp_path / "2", "two", {"twice": "two:x"})
    async with adapter_for(Account(name="p", dialect="twice"), ProvidersSettings()) as adapter:
        with pytest.raises(ProviderNotConfigured, match="twice"):
            await asked(adapter, "p", "m")


def test_the_file_takes_its_name_and_its_options(
    echo: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "llmhub.yaml"
    file.write_text(
        "providers: {mine: {dialect: echo, options: {mark: y, deep: {list: [1, '${WORD}']}}, models: [m]}}"
    )
    config = loading.load(file, {"WORD": "w"}, {})
    account = resolve.providers_settings(config).accounts["mine"]
    assert account.options == {"mark": "y", "deep": {"list": [1, "w"]}}
    assert not account.missing
    unset = resolve.providers_settings(loading.load(file, {}, {})).accounts["mine"]
    assert unset.missing == ("${WORD} is not set",)
