"""The anthropic SDK through the mesh parses what it parses when it talks to the provider itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import pytest

from tests.support.exchanges import Exchange, named, random_pieces, recorded
from tests.support.faults import Program, answer
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay
from tests.support.sdks import anthropic_async, anthropic_direct, anthropic_through, arguments, dumped

pytestmark = [
    pytest.mark.usefixtures("clean_wire"),
    # The recorded models are old; the SDK says so.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

MESSAGES = [each for each in recorded("anthropic.messages") if each.status == 200]
COUNTS = [each for each in recorded("anthropic.count_tokens") if each.status == 200]
PARALLEL, THINKING, IMAGE = named("anthropic/025"), named("anthropic/033"), named("anthropic/015")
WHOLE = named("anthropic/051")
QUESTION: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> Iterator[anthropic.Anthropic]:
    with anthropic_through(mesh) as client:
        yield client


@pytest.fixture(scope="module")
def direct(replay: Replay) -> Iterator[anthropic.Anthropic]:
    with anthropic_direct(replay) as client:
        yield client


def play(replay: Replay, exchange: Exchange) -> str:
    """Have the recording answered, and return its model in llmhub's naming."""
    replay.answer("anthropic", exchange.model, exchange.program(random_pieces(exchange.answer, 5)))
    return f"anthropic/{exchange.model}"


@pytest.mark.parametrize("exchange", MESSAGES, ids=str)
def test_messages(
    exchange: Exchange, client: anthropic.Anthropic, direct: anthropic.Anthropic, replay: Replay
) -> None:
    model = play(replay, exchange)
    expected = dumped(direct.messages.create(**arguments(exchange, exchange.model)))
    assert dumped(client.messages.create(**arguments(exchange, model))) == expected


@pytest.mark.parametrize("exchange", [WHOLE, PARALLEL], ids=str)
async def test_messages_async(
    exchange: Exchange, mesh: Mesh, direct: anthropic.Anthropic, replay: Replay
) -> None:
    model = play(replay, exchange)
    expected = dumped(direct.messages.create(**arguments(exchange, exchange.model)))
    async with anthropic_async(mesh) as client:
        got = await client.messages.create(**arguments(exchange, model))
        seen = [part.model_dump(warnings=False) async for part in got] if exchange.streaming else dumped(got)
    assert seen == expected


def test_parallel_tool_calls_through_the_helper(client: anthropic.Anthropic, replay: Replay) -> None:
    asked = arguments(PARALLEL, play(replay, PARALLEL))
    asked.pop("stream")
    tools = asked.pop("extra_body")["tools"]
    with client.messages.stream(**asked, tools=tools) as stream:
        final = stream.get_final_message()
    calls = [block for block in final.content if block.type == "tool_use"]
    assert len(calls) > 1
    assert final.stop_reason == "tool_use"
    assert all(isinstance(call.input, dict) for call in calls)
    assert final.usage.output_tokens > 0


def test_thinking_comes_with_its_signature(client: anthropic.Anthropic, replay: Replay) -> None:
    asked = arguments(THINKING, play(replay, THINKING))
    asked.pop("stream")
    thinking = asked.pop("extra_body")["thinking"]
    with client.messages.stream(**asked, thinking=thinking) as stream:
        final = stream.get_final_message()
    first, *rest = final.content
    assert first.type == "thinking"
    assert first.thinking
    assert first.signature
    assert rest[0].type == "text"


def test_image_reaches_the_provider(client: anthropic.Anthropic, replay: Replay) -> None:
    dumped(client.messages.create(**arguments(IMAGE, play(replay, IMAGE))))
    assert replay.journal.of(IMAGE.model)[-1].json["messages"] == IMAGE.question["messages"]
    assert b'"type": "image"' in replay.journal.of(IMAGE.model)[-1].body.replace(b'":"', b'": "')


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_count_tokens(exchange: Exchange, client: anthropic.Anthropic, replay: Replay) -> None:
    got = client.messages.count_tokens(**arguments(exchange, play(replay, exchange)))
    assert f'"input_tokens":{got.input_tokens}' in exchange.answer.decode().replace(" ", "")


def test_both_ways_of_sending_a_key(mesh: Mesh, replay: Replay) -> None:
    model = play(replay, WHOLE)
    body = {**WHOLE.question, "model": model}
    for headers in ({"x-api-key": ADMIN_KEY}, {"authorization": f"Bearer {ADMIN_KEY}"}):
        url = f"{mesh.base_url}/v1/messages?beta=true"
        got = httpx.post(url, json=body, headers={**headers, "anthropic-version": "2023-06-01"})
        assert got.status_code == 200


def test_raw_response_and_request_id(client: anthropic.Anthropic, replay: Replay) -> None:
    asked = arguments(WHOLE, play(replay, WHOLE))
    raw = client.messages.with_raw_response.create(**asked)
    assert raw.http_response.content == WHOLE.answer
    assert raw.request_id
    assert client.messages.create(**asked)._request_id


def error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_recorded"}


REFUSALS: list[tuple[str, type[anthropic.APIStatusError], Program]] = [
    ("400", anthropic.BadRequestError, answer(400, error("invalid_request_error", "wrong"))),
    ("404", anthropic.NotFoundError, answer(404, error("not_found_error", "none"))),
    ("413", anthropic.RequestTooLargeError, answer(413, error("request_too_large", "large"))),
    ("429", anthropic.RateLimitError, answer(429, error("rate_limit_error", "slow"), {"retry-after": "7"})),
    ("500", anthropic.InternalServerError, answer(500, error("api_error", "broken"))),
    ("503", anthropic.ServiceUnavailableError, answer(503, error("api_error", "gone"))),
    ("529", anthropic.OverloadedError, answer(529, error("overloaded_error", "overloaded"))),
]


@pytest.mark.parametrize(("name", "kind", "program"), REFUSALS, ids=[each[0] for each in REFUSALS])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_refusals_are_the_sdks_own_exceptions(
    name: str,
    kind: type[anthropic.APIStatusError],
    program: Program,
    stream: bool,
    client: anthropic.Anthropic,
    replay: Replay,
) -> None:
    model = f"sdk-{name}-{stream}"
    replay.answer("anthropic", model, program)
    with pytest.raises(kind) as caught:
        client.messages.create(model=f"anthropic/{model}", messages=QUESTION, max_tokens=16, stream=stream)
    assert type(caught.value) is kind
    assert caught.value.status_code == int(name)
    assert caught.value.request_id
    if name == "429":
        assert caught.value.response.headers["retry-after"] == "7"


def test_llmhubs_own_refusals(mesh: Mesh, client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "anthropic/x", "messages": QUESTION, "max_tokens": 16}
    with (
        anthropic_through(mesh, api_key="sk-nonsense") as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(**asked)
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**{**asked, "model": "no-such-alias"})
    with pytest.raises(anthropic.BadRequestError):
        client.post("/v1/messages", cast_to=object, content=b"this is not JSON")
