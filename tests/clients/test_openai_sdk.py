"""The openai SDK through the mesh parses what it parses when it talks to the provider itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest

from tests.support.exchanges import Exchange, named, random_pieces, recorded
from tests.support.faults import Program, answer
from tests.support.mesh import Mesh
from tests.support.replay import Replay
from tests.support.sdks import arguments, dumped, openai_async, openai_direct, openai_through

pytestmark = pytest.mark.usefixtures("clean_wire")

CHATS = [each for each in recorded("openai.chat") if each.provider == "openai" and each.status == 200]
EMBEDDINGS = [
    each for each in recorded("openai.embeddings") if each.provider == "openai" and each.status == 200
]
TOOLS, PARALLEL, WHOLE = named("openai/024"), named("openai/010"), named("openai/018")
QUESTION: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> Iterator[openai.OpenAI]:
    with openai_through(mesh) as client:
        yield client


@pytest.fixture(scope="module")
def direct(replay: Replay) -> Iterator[openai.OpenAI]:
    with openai_direct(replay) as client:
        yield client


def play(replay: Replay, exchange: Exchange) -> str:
    """Have the recording answered, and return its model in llmhub's naming."""
    replay.answer(exchange.provider, exchange.model, exchange.program(random_pieces(exchange.answer, 7)))
    return f"{exchange.provider}/{exchange.model}"


@pytest.mark.parametrize("exchange", CHATS, ids=str)
def test_chat(exchange: Exchange, client: openai.OpenAI, direct: openai.OpenAI, replay: Replay) -> None:
    model = play(replay, exchange)
    expected = dumped(direct.chat.completions.create(**arguments(exchange, exchange.model)))
    assert dumped(client.chat.completions.create(**arguments(exchange, model))) == expected


@pytest.mark.parametrize("exchange", [WHOLE, PARALLEL], ids=str)
async def test_chat_async(exchange: Exchange, mesh: Mesh, direct: openai.OpenAI, replay: Replay) -> None:
    model = play(replay, exchange)
    expected = dumped(direct.chat.completions.create(**arguments(exchange, exchange.model)))
    async with openai_async(mesh) as client:
        got = await client.chat.completions.create(**arguments(exchange, model))
        seen = [part.model_dump(warnings=False) async for part in got] if exchange.streaming else dumped(got)
    assert seen == expected


def test_tool_call(client: openai.OpenAI, replay: Replay) -> None:
    completion = client.chat.completions.create(**arguments(TOOLS, play(replay, TOOLS)))
    assert completion.choices[0].finish_reason == "tool_calls"
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    (call,) = calls
    assert call.type == "function"
    assert call.function.name
    assert call.function.arguments.startswith("{")


def test_parallel_tool_calls_streamed_through_the_helper(client: openai.OpenAI, replay: Replay) -> None:
    asked = arguments(PARALLEL, play(replay, PARALLEL))
    asked.pop("stream")
    body = asked.pop("extra_body")
    with client.chat.completions.stream(**asked, tools=body["tools"]) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or ()
    assert len(calls) > 1
    assert len({call.id for call in calls}) == len(calls)
    assert all(call.function.arguments for call in calls)


def test_structured_output_is_parsed(client: openai.OpenAI, replay: Replay) -> None:
    class Answer(pydantic.BaseModel):
        city: str
        people: int

    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "structured",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": '{"city": "Bern", "people": 134000}'},
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }
    replay.answer("openai", "structured", answer(200, body))
    got = client.chat.completions.parse(model="openai/structured", messages=QUESTION, response_format=Answer)
    assert got.choices[0].message.parsed == Answer(city="Bern", people=134000)
    sent = replay.journal.of("structured")[-1].json
    assert sent["response_format"]["json_schema"]["strict"] is True
    assert sent["response_format"]["json_schema"]["schema"]["required"] == ["city", "people"]


@pytest.mark.parametrize("exchange", EMBEDDINGS, ids=str)
def test_embeddings(exchange: Exchange, client: openai.OpenAI, direct: openai.OpenAI, replay: Replay) -> None:
    model = play(replay, exchange)
    asked = arguments(exchange, model)
    got = client.embeddings.create(**asked)
    assert dumped(got) == dumped(direct.embeddings.create(**{**asked, "model": exchange.model}))
    assert len(got.data[0].embedding) > 1


def test_models(client: openai.OpenAI) -> None:
    listed = {model.id for model in client.models.list()}
    assert "pair-0" in listed
    assert client.models.retrieve("pair-0").id == "pair-0"
    assert client.models.retrieve("openai/gpt-4o-mini").owned_by == "openai"


def test_raw_response_and_request_id(client: openai.OpenAI, replay: Replay) -> None:
    asked = arguments(WHOLE, play(replay, WHOLE))
    raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.http_response.content == WHOLE.answer
    assert raw.request_id
    completion = client.chat.completions.create(**asked)
    assert completion._request_id
    assert completion._request_id != raw.request_id


def error(kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


REFUSALS: list[tuple[str, type[openai.APIStatusError], Program]] = [
    ("400", openai.BadRequestError, answer(400, error("invalid_request_error", "wrong"))),
    ("404", openai.NotFoundError, answer(404, error("invalid_request_error", "none", "model_not_found"))),
    ("422", openai.UnprocessableEntityError, answer(422, error("invalid_request_error", "wrong"))),
    ("429", openai.RateLimitError, answer(429, error("requests", "slow"), {"retry-after": "7"})),
    ("500", openai.InternalServerError, answer(500, error("server_error", "broken"))),
    ("503", openai.InternalServerError, answer(503, error("server_error", "overloaded"))),
]


@pytest.mark.parametrize(("name", "kind", "program"), REFUSALS, ids=[each[0] for each in REFUSALS])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_refusals_are_the_sdks_own_exceptions(
    name: str,
    kind: type[openai.APIStatusError],
    program: Program,
    stream: bool,
    client: openai.OpenAI,
    replay: Replay,
) -> None:
    model = f"sdk-{name}-{stream}"
    replay.answer("openai", model, program)
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=f"openai/{model}", messages=QUESTION, stream=stream)
    assert type(caught.value) is kind
    assert caught.value.status_code == int(name)
    assert caught.value.request_id
    if name == "429":
        assert caught.value.response.headers["retry-after"] == "7"
    if name == "404":
        assert caught.value.code == "model_not_found"


def test_llmhubs_own_refusals(mesh: Mesh, client: openai.OpenAI) -> None:
    with openai_through(mesh, api_key="sk-nonsense") as stranger, pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="openai/x", messages=QUESTION)
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="no-such-alias", messages=QUESTION)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-alias")
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", cast_to=object, content=b"this is not JSON")


def test_the_sdk_retries_when_told_so(mesh: Mesh, replay: Replay) -> None:
    slow = answer(429, error("requests", "slow"), {"retry-after-ms": "1"})
    replay.answer("openai", "retried", slow, WHOLE.program())
    with openai_through(mesh, max_retries=2) as client:
        got = client.chat.completions.create(model="openai/retried", messages=QUESTION)
    assert got.choices[0].finish_reason == "stop"
    assert len(replay.journal.of("retried")) == 2
