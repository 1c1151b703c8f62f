"""Every adapter keeps what all of them promise: the simulator, each dialect and platform, and the example's plug-in."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Candidate, Finish, FinishReason
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CandidateFinish,
    Finished,
    Started,
    StreamEvent,
)
from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.dialects.codec import DecodedRequest
from services.dialects.eventstream import encode_frame
from services.dialects.sse import SseParser
from services.providers.codecs import tongue
from services.providers.domain.adapter import Adapter
from services.providers.settings import Account, Azure, Bedrock, Limits, ProvidersSettings, Vertex
from services.providers.wiring import adapter_for
from tests.support.adapter_conformance import CHECKS, SECRET, TEXT, Subject
from tests.support.faults import Cut, End, Head, Program, Send, Stall, answer
from tests.support.installed import install_tree
from tests.support.mesh import ROOT
from tests.support.platforms import secret
from tests.support.replay import Replay, anyone

USAGE: Final = Usage(input_tokens=5, output_tokens=4, measure=Measure.MEASURE_VENDOR)
FINISH: Final = Finish(reason=FinishReason.FINISH_REASON_END)
SSE: Final = "text/event-stream"
AWS: Final = "application/vnd.amazon.eventstream"
KEY: Final[dict[str, Any]] = {"api_key": secret(SECRET)}
HOSTED: Final[dict[str, Any]] = {
    "vertex": {"vertex": Vertex(project="p", access_token=secret(SECRET))},
    "bedrock": {
        "bedrock": Bedrock(region="r", access_key_id=secret("AKIDEXAMPLE"), secret_access_key=secret(SECRET))
    },
}


@dataclass(frozen=True, slots=True)
class Case:
    """A dialect of the configuration, the codec that speaks for its model, and its stream's framing."""

    dialect: str
    codec: str
    model: str = "m"
    framing: str = SSE
    version: str = ""

    def __str__(self) -> str:
        return f"{self.dialect}-{self.codec}" if self.dialect != self.codec else self.dialect


CLAUDE: Final = "anthropic.claude-haiku-4-5"
CASES: Final = (
    Case("openai", "openai"),
    Case("openai-responses", "openai-responses"),
    Case("azure-openai", "openai", version="2024-10-21"),
    Case("anthropic", "anthropic"),
    Case("gemini", "gemini"),
    Case("vertex", "gemini"),
    Case("vertex", "anthropic", "claude-haiku-4-5"),
    Case("bedrock", "bedrock", framing=AWS),
    Case("bedrock", "anthropic", CLAUDE, framing=AWS),
    Case("ollama", "ollama", framing="application/x-ndjson"),
    Case("cohere", "cohere"),
)


def words(case: Case) -> tuple[bytes, list[bytes]]:
    """Say TEXT in a vendor's words: the whole answer, and a stream in its pieces."""
    codec = tongue(case.codec, Account(name="subject", dialect=case.dialect)).chat
    given = GenerateResponse(
        response_id="id-1",
        provider_model=case.model,
        candidates=[Candidate(parts=[Part(text=TEXT)], finish=FINISH)],
        usage=USAGE,
    )
    given.created_at.GetCurrentTime()
    question = DecodedRequest(GenerateRequest(model=case.model), stream=True, include_usage=True)
    encoder = codec.stream_encoder(question)
    pieces = [encoder.encode([event]) for event in events(case.model)]
    pieces = [piece for piece in pieces if piece]
    if case.framing == AWS and case.codec == "anthropic":
        pieces = [frames(piece) for piece in pieces]
    return codec.encode_response(given), pieces


def events(model: str) -> list[StreamEvent]:
    half = len(TEXT) // 2
    made = [
        StreamEvent(started=Started(response_id="id-1", model=model)),
        StreamEvent(block_start=BlockStart(block=0, part=Part(text=""))),
        StreamEvent(block_delta=BlockDelta(block=0, text=TEXT[:half])),
        StreamEvent(block_delta=BlockDelta(block=0, text=TEXT[half:])),
        StreamEvent(block_stop=BlockStop(block=0)),
        StreamEvent(candidate_finish=CandidateFinish(finish=FINISH)),
        StreamEvent(usage=USAGE),
        StreamEvent(finished=Finished(complete=True, usage=USAGE)),
    ]
    for sequence, event in enumerate(made):
        event.sequence = event.frame = sequence
    return made


def frames(data: bytes) -> bytes:
    """Wrap Anthropic's events as InvokeModelWithResponseStream does."""
    chunks = (
        json.dumps({"bytes": base64.b64encode(event.data).decode()}) for event in SseParser().feed(data)
    )
    return b"".join(encode_frame("chunk", chunk.encode()) for chunk in chunks)


class Played:
    """A provider that the replay server plays; see adapter_conformance.Provider."""

    def __init__(
        self, replay: Replay, model: str, whole: bytes, pieces: Sequence[bytes], content_type: str
    ) -> None:
        self._replay = replay
        self._model = model
        self._mark = 0
        self._whole = answer(200, whole)
        self._head = Head(200, (("content-type", content_type),))
        self._pieces = [Send(piece) for piece in pieces]
        replay.expect("subject", anyone)

    def _say(self, whole: Program, stream: Program) -> None:
        self._replay.choose("subject", self._model, lambda seen: stream if streams(seen) else whole)

    def well(self) -> None:
        self._say(self._whole, (self._head, *self._pieces, End()))

    def fail(self) -> None:
        body = {"error": {"message": f"wrong key {SECRET}"}, "message": f"wrong key {SECRET}"}
        refusal = answer(401, {**body, "problem": f"wrong key {SECRET}"})
        self._say(refusal, refusal)
        self._replay.answer("subject", "", refusal)

    def cut(self) -> None:
        self._say(self._whole, (self._head, *self._pieces[:-2], Cut(reset=False)))

    def stall(self) -> None:
        self._mark = self._replay.journal.mark()
        self._say((Stall(),), (self._head, *self._pieces[:-2], Stall()))

    async def left(self) -> bool:
        seen = await asyncio.to_thread(
            self._replay.journal.wait, lambda seen: seen.over and seen.number >= self._mark
        )
        return seen.left_at is not None


def streams(seen: Any) -> bool:
    """Whether a request asks for a stream: in its body, or by its path."""
    body = seen.json if seen.body else {}
    return bool(body.get("stream")) or "stream" in seen.path or "streamGenerate" in seen.path


class Simulated:
    """The simulator does as its model's name says; there is no network to stall on."""

    def well(self) -> None: ...

    def fail(self) -> None: ...

    def cut(self) -> None: ...

    def stall(self) -> None: ...

    async def left(self) -> bool:
        return True


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as server:
        yield server


def opening(account: Account) -> Callable[[Limits], AbstractAsyncContextManager[Adapter]]:
    return lambda limits: adapter_for(account.model_copy(update={"limits": limits}), ProvidersSettings())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_dialect_keeps_the_promises(
    replay: Replay, case: Case, check: Callable[[Subject], Awaitable[None]]
) -> None:
    whole, pieces = words(case)
    settings = HOSTED.get(case.dialect, KEY)
    account = Account(
        name="subject",
        dialect=case.dialect,
        base_url=f"http://127.0.0.1:{replay.port}/subject",
        azure=Azure(api_version=case.version),
        **settings,
    )
    played = Played(replay, case.model, whole, pieces, case.framing)
    await check(Subject(str(case), case.model, opening(account), played))


SIMULATED: Final = {
    "failures_are_typed_and_tell_no_secret": "fail",
    "cut_streams_never_look_whole": "broken",
}
NEEDS_A_NETWORK: Final = {"leaving_closes_the_connection", "silence_has_an_end"}


@pytest.mark.parametrize(
    "check",
    [each for each in CHECKS if each.__name__ not in NEEDS_A_NETWORK],
    ids=lambda check: check.__name__,
)
async def test_the_simulator_keeps_the_promises(check: Callable[[Subject], Awaitable[None]]) -> None:
    account = Account(name="subject", dialect="sim")
    model = SIMULATED.get(check.__name__, "echo")
    await check(Subject("sim", model, opening(account), Simulated()))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_examples_plug_in_keeps_the_promises(
    replay: Replay,
    check: Callable[[Subject], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    install_tree(monkeypatch, tmp_path, ROOT / "examples" / "provider_plugin")
    tokens = {"read": 5, "written": 4}
    whole = json.dumps({"text": TEXT, "tokens": tokens, "stopped": "end"}).encode()
    lines = [{"piece": TEXT[:5]}, {"piece": TEXT[5:]}, {"done": True, "tokens": tokens, "stopped": "end"}]
    pieces = [json.dumps(line).encode() + b"\n" for line in lines]
    account = Account(
        name="subject", dialect="acme", base_url=f"http://127.0.0.1:{replay.port}/subject", **KEY
    )
    played = Played(replay, "small", whole, pieces, "application/x-ndjson")
    await check(Subject("acme", "small", opening(account), played))
