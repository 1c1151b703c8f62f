"""The Responses API: recorded exchanges go through by value, answers are kept for their key, any provider serves."""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.support.exchanges import Exchange, named, random_pieces, recorded
from tests.support.faults import Gate, answer
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

pytestmark = pytest.mark.usefixtures("clean_wire")

PATHS = {
    "openai.responses": "/v1/responses",
    "openai.responses.compact": "/v1/responses/compact",
    "openai.responses.input_tokens": "/v1/responses/input_tokens",
}
STATE = ("previous_response_id", "conversation", "background")
RECORDED = [each for each in recorded(*PATHS) if each.body is not None and not each.body.keys() & set(STATE)]
TEXT, OTHER = [
    each
    for each in RECORDED
    if each.name.startswith("openai/") and each.status == 200 and not each.streaming and "text" in each.name
][:2]
CHAT, CHAT_STREAM, CHAT_TOOL = named("groq/008"), named("groq/009"), named("groq/004")
QUESTION: dict[str, Any] = {"input": "Hello"}


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    with httpx.Client(base_url=mesh.base_url, headers=headers, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def sdk(mesh: Mesh) -> Iterator[openai.OpenAI]:
    with openai_with(mesh, ADMIN_KEY) as client:
        yield client


def openai_with(mesh: Mesh, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{mesh.base_url}/v1", api_key=key, max_retries=0)


def play(replay: Replay, exchange: Exchange) -> str:
    """Have a recording answered, and return its model in llmhub's naming."""
    replay.answer(exchange.provider, exchange.model, exchange.program(random_pieces(exchange.answer, 7)))
    return f"{exchange.provider}/{exchange.model}"


@pytest.mark.parametrize("exchange", RECORDED, ids=str)
def test_recorded_exchange_goes_through(exchange: Exchange, client: httpx.Client, replay: Replay) -> None:
    pieces = random_pieces(exchange.answer, zlib.crc32(exchange.name.encode()))
    replay.answer(exchange.provider, exchange.model, exchange.program(pieces))
    mark = replay.journal.mark()
    body = {**exchange.question, "model": f"{exchange.provider}/{exchange.model}"}
    got = client.post(PATHS[exchange.endpoint], json=body)

    (arrival,) = replay.journal.since(mark)
    assert arrival.json == exchange.question
    assert (got.status_code, got.content) == (exchange.status, exchange.answer)
    assert got.headers["content-type"] == dict(exchange.headers)["content-type"]


def test_a_relayed_response_is_kept_and_gone_on_from(sdk: openai.OpenAI, replay: Replay) -> None:
    made = sdk.responses.create(model=play(replay, TEXT), input="Hello", instructions="Be short.")
    kept = sdk.responses.retrieve(made.id)
    assert kept.to_dict() == made.to_dict()
    assert [item.type for item in sdk.responses.input_items.list(made.id)] == ["message"]

    # Its own provider keeps it too and is told its id; any other is sent what was said.
    mark = replay.journal.mark()
    sdk.responses.create(model=play(replay, OTHER), input="And?", previous_response_id=made.id)
    (arrival,) = replay.journal.since(mark)
    assert arrival.json["previous_response_id"] == made.id
    mark = replay.journal.mark()
    after = sdk.responses.create(model=play(replay, CHAT_TOOL), input="And?", previous_response_id=made.id)
    (arrival,) = replay.journal.since(mark)
    assert [message["role"] for message in arrival.json["messages"]] == ["user", "assistant", "user"]
    assert arrival.json["messages"][1]["content"] == made.output_text
    assert after.previous_response_id == made.id


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_conversation_goes_on_at_any_provider(
    sdk: openai.OpenAI, replay: Replay, *, streamed: bool
) -> None:
    first = create(sdk, play(replay, CHAT_STREAM if streamed else CHAT), streamed, input="One")
    assert sdk.responses.retrieve(first.id).output_text == first.output_text != ""
    mark = replay.journal.mark()
    second = create(
        sdk,
        play(replay, CHAT_STREAM if streamed else CHAT),
        streamed,
        input="Two",
        previous_response_id=first.id,
        instructions="Speak.",
    )
    (arrival,) = replay.journal.since(mark)
    said = [(message["role"], message["content"]) for message in arrival.json["messages"]]
    assert [role for role, _ in said][-3:] == ["user", "assistant", "user"]
    assert said[-2][1] == first.output_text
    assert not arrival.json.keys() & {*STATE, "store", "instructions"}
    assert second.previous_response_id == first.id
    assert second.id != first.id


def create(sdk: openai.OpenAI, model: str, streamed: bool, **asked: Any) -> Any:
    if not streamed:
        return sdk.responses.create(model=model, **asked)
    with sdk.responses.stream(model=model, **asked) as events:
        return events.get_final_response()


def test_what_is_not_to_be_kept_is_not(sdk: openai.OpenAI, replay: Replay) -> None:
    made = sdk.responses.create(model=play(replay, CHAT), input="Hello", store=False)
    with pytest.raises(openai.NotFoundError, match="no response with id"):
        sdk.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model=play(replay, CHAT), input="Hello", previous_response_id=made.id)
    assert refused.value.param == "previous_response_id"


def test_a_response_belongs_to_its_key(
    sdk: openai.OpenAI, mesh: Mesh, replay: Replay, client: httpx.Client
) -> None:
    made = sdk.responses.create(model=play(replay, CHAT), input="Hello")
    created = client.post("/api/v1/keys", json={"name": "other", "scopes": ["SCOPE_INFERENCE"]}).json()
    with openai_with(mesh, created["secret"]) as other:
        with pytest.raises(openai.NotFoundError):
            other.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            other.responses.delete(made.id)
        with pytest.raises(openai.BadRequestError):
            other.responses.create(model=play(replay, CHAT), input="x", previous_response_id=made.id)
    assert sdk.responses.retrieve(made.id).id == made.id


def test_a_deleted_response_is_gone(sdk: openai.OpenAI, replay: Replay) -> None:
    made = sdk.responses.create(model=play(replay, CHAT), input="Hello")
    sdk.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(made.id)


def test_in_the_background(sdk: openai.OpenAI, replay: Replay) -> None:
    gate = Gate()
    replay.answer(CHAT.provider, CHAT.model, (gate, *CHAT.program()))
    model = f"{CHAT.provider}/{CHAT.model}"
    queued = sdk.responses.create(model=model, input="Hello", background=True)
    assert queued.status == "queued"
    assert sdk.responses.retrieve(queued.id).status == "queued"
    gate.open()
    done = until_ended(sdk, queued.id)
    assert (done.status, done.output_text != "") == ("completed", True)
    with pytest.raises(openai.BadRequestError):
        sdk.responses.cancel(queued.id)


def test_cancelled_in_the_background(sdk: openai.OpenAI, replay: Replay) -> None:
    gate = Gate()
    replay.answer(CHAT.provider, CHAT.model, (gate, *CHAT.program()))
    mark = replay.journal.mark()
    queued = sdk.responses.create(model=f"{CHAT.provider}/{CHAT.model}", input="Hello", background=True)
    replay.journal.wait(lambda seen: seen.number >= mark and seen.model == CHAT.model)
    assert sdk.responses.cancel(queued.id).status == "cancelled"
    replay.journal.wait(lambda seen: seen.number >= mark and seen.over)
    gate.open()
    assert sdk.responses.retrieve(queued.id).status == "cancelled"


def test_a_failure_in_the_background_is_told(sdk: openai.OpenAI, replay: Replay) -> None:
    for body in (b'{"error": {"message": "no such thing", "code": "odd"}}', b"<html>"):
        replay.answer(TEXT.provider, TEXT.model, answer(400, body))
        queued = sdk.responses.create(model=f"{TEXT.provider}/{TEXT.model}", input="x", background=True)
        done = until_ended(sdk, queued.id)
        assert done.status == "failed"
        assert done.error is not None


def test_a_request_id_used_twice_harms_no_response(sdk: openai.OpenAI, replay: Replay) -> None:
    gate = Gate()
    replay.answer(CHAT.provider, CHAT.model, (gate, *CHAT.program()))
    model, headers = f"{CHAT.provider}/{CHAT.model}", {"x-request-id": str(uuid.uuid4())}
    mark = replay.journal.mark()
    first = sdk.responses.create(model=model, input="One", background=True, extra_headers=headers)
    replay.journal.wait(lambda seen: seen.number >= mark and seen.model == CHAT.model)
    second = sdk.responses.create(model=model, input="Two", background=True, extra_headers=headers)
    assert until_ended(sdk, second.id).error.code == "request_id_conflict"
    gate.open()
    done = until_ended(sdk, first.id)
    assert done.status == "completed"
    again = sdk.responses.create(
        model=play(replay, CHAT), input="Three", previous_response_id=done.id, extra_headers=headers
    )
    assert again.id != done.id


def test_a_response_without_a_status_can_be_gone_on_from(sdk: openai.OpenAI, replay: Replay) -> None:
    told = {"id": "resp_bare", "object": "response", "model": TEXT.model, "output": []}
    replay.answer(TEXT.provider, TEXT.model, answer(200, told), answer(200, told))
    model = f"{TEXT.provider}/{TEXT.model}"
    sdk.responses.create(model=model, input="One")
    assert sdk.responses.create(model=model, input="Two", previous_response_id="resp_bare").id == "resp_bare"


def until_ended(sdk: openai.OpenAI, response_id: str) -> Any:
    """Ask until it has ended, as the API wants it; the SDK's own timeout bounds it."""
    for _ in range(500):
        found = sdk.responses.retrieve(response_id)
        if found.status not in {"queued", "in_progress"}:
            return found
    raise AssertionError(found.status)


@pytest.mark.parametrize(
    "asked",
    [{"background": True, "store": False}, {"background": True, "stream": True}, {"conversation": "conv_1"}],
    ids=str,
)
def test_what_is_not_offered_is_refused(client: httpx.Client, replay: Replay, asked: dict[str, Any]) -> None:
    body = {"model": play(replay, CHAT), **QUESTION, **asked}
    got = client.post("/v1/responses", json=body)
    assert (got.status_code, got.json()["error"]["type"]) == (400, "invalid_request_error"), got.text


def test_input_items_have_pages(client: httpx.Client, replay: Replay) -> None:
    said = [{"role": "user", "content": str(number)} for number in range(5)]
    made = client.post("/v1/responses", json={"model": play(replay, CHAT), "input": said}).json()
    path = f"/v1/responses/{made['id']}/input_items"
    first = client.get(path, params={"limit": 2, "order": "asc"}).json()
    rest = client.get(path, params={"limit": 9, "order": "asc", "after": first["last_id"]}).json()
    texts = [item["content"][0]["text"] for item in first["data"] + rest["data"]]
    assert (texts, first["has_more"], rest["has_more"]) == (["0", "1", "2", "3", "4"], True, False)
    newest = client.get(path, params={"limit": 1}).json()
    assert newest["data"][0]["content"][0]["text"] == "4"
    for bad in ({"limit": 0}, {"limit": 101}, {"order": "up"}, {"after": "nobody"}):
        assert client.get(path, params=bad).status_code == 400


def test_paths_and_methods_that_are_none(client: httpx.Client) -> None:
    for method, path, status in (
        ("GET", "/v1/responses", 405),
        ("PUT", "/v1/responses/resp_1", 405),
        ("GET", "/v1/responses/resp_1", 404),
        ("GET", "/v1/responses/resp_1/nothing", 404),
    ):
        got = client.request(method, path)
        assert got.status_code == status, (method, path)
        assert got.json()["error"]["message"]


def test_a_broken_stream_is_not_kept(client: httpx.Client, replay: Replay) -> None:
    exchange = next(each for each in RECORDED if each.streaming and each.status == 200)
    replay.answer(exchange.provider, exchange.model, exchange.program([exchange.answer[:-200]]))
    body = {**exchange.question, "model": f"{exchange.provider}/{exchange.model}", "store": True}
    got = client.post("/v1/responses", json=body)
    events = [json.loads(line[6:]) for line in got.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"] in {"error", "response.failed"}
    response_id = next(event["response"]["id"] for event in events if "response" in event)
    assert client.get(f"/v1/responses/{response_id}").status_code == 404
