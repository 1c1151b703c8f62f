"""Gemini's door: recorded exchanges go through by value, and google-genai works on every provider behind it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors
from google.genai import types as google

from tests.support.exchanges import Exchange, named, random_pieces, recorded
from tests.support.faults import Cut, End, Gate, Head, Send, answer
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay, upstream_key

pytestmark = pytest.mark.usefixtures("clean_wire")

ENDPOINTS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
RECORDED = [each for each in recorded(*(f"gemini.{name}" for name in ENDPOINTS)) if each.provider == "gemini"]
TOOLS, PARALLEL, WHOLE = named("openai/024"), named("openai/010"), named("openai/018")
ARRAY = next(each for each in RECORDED if each.target.endswith(":streamGenerateContent"))
QUESTION: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> Iterator[httpx.Client]:
    headers = {"x-goog-api-key": ADMIN_KEY}
    with httpx.Client(base_url=mesh.base_url, headers=headers, timeout=20) as client:
        yield client


@pytest.fixture(scope="module")
def sdk(mesh: Mesh) -> Iterator[genai.Client]:
    with genai.Client(api_key=ADMIN_KEY, http_options=google.HttpOptions(base_url=mesh.base_url)) as client:
        yield client


@pytest.fixture(scope="module")
def direct(replay: Replay) -> Iterator[genai.Client]:
    options = google.HttpOptions(base_url=replay.base_url("gemini", "gemini"), api_version="v1beta")
    with genai.Client(api_key=upstream_key("gemini"), http_options=options) as client:
        yield client


def text(body: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in body["candidates"][0]["content"]["parts"])


def play(replay: Replay, exchange: Exchange) -> str:
    """Have a recording answered, and return its model in llmhub's naming."""
    replay.answer(exchange.provider, exchange.model, exchange.program(random_pieces(exchange.answer, 7)))
    return f"{exchange.provider}/{exchange.model}"


@pytest.mark.parametrize("exchange", RECORDED, ids=str)
def test_recorded_exchange_goes_through(exchange: Exchange, client: httpx.Client, replay: Replay) -> None:
    pieces = random_pieces(exchange.answer, zlib.crc32(exchange.name.encode()))
    replay.answer("gemini", exchange.model, exchange.program(pieces))
    mark = replay.journal.mark()
    target = exchange.target.replace("/models/", "/models/gemini/")
    body = json.dumps(exchange.body, ensure_ascii=False).encode()
    got = client.post(target, content=body, headers={"content-type": "application/json"})

    (arrival,) = replay.journal.since(mark)
    assert f"{arrival.path}?{arrival.query}".rstrip("?") == exchange.target
    assert arrival.json == exchange.body
    assert (got.status_code, got.content) == (exchange.status, exchange.answer)
    assert got.headers["content-type"] == dict(exchange.headers)["content-type"]
    assert got.headers["x-request-id"]


def test_an_array_goes_on_as_it_arrives(client: httpx.Client, replay: Replay) -> None:
    gate, half = Gate(), ARRAY.answer.index(b"\n,") if b"\n," in ARRAY.answer else len(ARRAY.answer) // 2
    head = Head(200, (("content-type", "application/json; charset=UTF-8"),))
    replay.answer("gemini", "slow", (head, Send(ARRAY.answer[:half]), gate, Send(ARRAY.answer[half:]), End()))
    with client.stream("POST", "/v1beta/models/gemini/slow:streamGenerateContent", json=QUESTION) as got:
        pieces = got.iter_raw()
        begin = next(pieces)
        gate.open()
        assert begin + b"".join(pieces) == ARRAY.answer


@pytest.mark.parametrize("query", ["", "?alt=sse"])
def test_a_relayed_stream_that_is_cut_never_looks_whole(
    client: httpx.Client, replay: Replay, query: str
) -> None:
    exchange = ARRAY if not query else next(each for each in RECORDED if each.target.endswith("alt=sse"))
    cut = (Head(200, exchange.headers), Send(exchange.answer[: len(exchange.answer) // 2]), Cut())
    replay.answer("gemini", f"cut{len(query)}", cut)
    path = f"/v1beta/models/gemini/cut{len(query)}:streamGenerateContent{query}"
    try:
        got = client.post(path, json=QUESTION)
    except httpx.RemoteProtocolError:
        return
    assert query
    assert '"error"' in got.text


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("model", ["openai/{}", "openai%2F{}"])
def test_models_may_have_slashes(client: httpx.Client, replay: Replay, version: str, model: str) -> None:
    replay.answer("openai", "slashed", WHOLE.program())
    path = f"/{version}/models/{model.format('slashed')}:generateContent"
    got = client.post(path, json=QUESTION)
    assert got.status_code == 200, got.text
    assert got.headers["x-llmhub-model"] == "openai/slashed"
    assert text(got.json()) == json.loads(WHOLE.answer)["choices"][0]["message"]["content"]


def test_a_translated_stream_has_either_framing(client: httpx.Client, replay: Replay) -> None:
    model = play(replay, PARALLEL)
    path = f"/v1beta/models/{model}:streamGenerateContent"
    array = client.post(path, json=QUESTION)
    events = client.post(f"{path}?alt=sse", json=QUESTION)
    assert array.headers["content-type"].startswith("application/json")
    assert events.headers["content-type"].startswith("text/event-stream")
    lines = [line[6:] for line in events.text.splitlines() if line.startswith("data: ")]
    chunks = array.json()
    assert len(chunks) > 1
    assert [plain(chunk) for chunk in chunks] == [plain(json.loads(line)) for line in lines]


def plain(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk without what is made anew for each answer."""
    return {name: value for name, value in chunk.items() if name != "responseId"}


def test_a_translated_stream_that_breaks_off_says_so_in_either_framing(
    client: httpx.Client, replay: Replay
) -> None:
    begun = b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    replay.answer(
        "openai", "broken", (Head(200, (("content-type", "text/event-stream"),)), Send(begun), Cut())
    )
    path = "/v1beta/models/openai/broken:streamGenerateContent"
    array = client.post(path, json=QUESTION).json()
    assert text(array[0]) == "Hel"
    assert array[-1]["error"]["status"]
    events = client.post(f"{path}?alt=sse", json=QUESTION).text
    assert '"error"' in events.split("data: ")[-1]


REFUSED = [
    ("/v1beta/models/nobody:generateContent", 404, "NOT_FOUND"),
    ("/v1beta/models/nobody/nothing:countTokens", 404, "NOT_FOUND"),
    ("/v1beta/models/x:predict", 404, "NOT_FOUND"),
    ("/v1beta/models/anthropic/x:embedContent", 501, "UNIMPLEMENTED"),
]


@pytest.mark.parametrize(("path", "status", "word"), REFUSED, ids=[each[0] for each in REFUSED])
def test_refusals_have_google_s_shape(client: httpx.Client, path: str, status: int, word: str) -> None:
    got = client.post(path, json={**QUESTION, "content": QUESTION["contents"][0]})
    error = got.json()["error"]
    assert (got.status_code, error["code"], error["status"]) == (status, status, word), got.text
    assert got.headers["x-request-id"]
    assert "request-id" not in got.headers


def test_refused_streams_are_arrays_where_arrays_were_asked_for(client: httpx.Client) -> None:
    (only,) = client.post("/v1beta/models/nobody:streamGenerateContent", json=QUESTION).json()
    assert only["error"]["status"] == "NOT_FOUND"
    events = client.post("/v1beta/models/nobody:streamGenerateContent?alt=sse", json=QUESTION)
    assert events.json()["error"]["code"] == 404
    stranger = client.post(
        "/v1beta/models/x:generateContent", json=QUESTION, headers={"x-goog-api-key": "wrong"}
    )
    assert stranger.status_code in {400, 401}
    wrong = client.get("/v1beta/models/openai/x:generateContent")
    assert (wrong.status_code, wrong.headers["allow"]) == (404, "POST")
    assert client.post("/v1beta/models/x:generateContent", content=b"{").status_code == 400


# ------------------------------------------------------------------ Google's own SDK


@pytest.mark.parametrize("name", ["gemini/016", "gemini/014", "gemini/008"])
def test_sdk_whole(sdk: genai.Client, direct: genai.Client, replay: Replay, name: str) -> None:
    exchange = next(each for each in RECORDED if each.name.startswith(f"{name}-"))
    model = play(replay, exchange)
    wanted = direct.models.generate_content(model=exchange.model, contents="Hello")
    got = sdk.models.generate_content(model=model, contents="Hello")
    assert got.model_dump(exclude={"sdk_http_response"}) == wanted.model_dump(exclude={"sdk_http_response"})


def test_sdk_streamed(sdk: genai.Client, direct: genai.Client, replay: Replay) -> None:
    exchange = next(each for each in RECORDED if each.name.startswith("gemini/032-"))
    model = play(replay, exchange)
    hidden = {"sdk_http_response"}
    wanted = direct.models.generate_content_stream(model=exchange.model, contents="Hello")
    got = sdk.models.generate_content_stream(model=model, contents="Hello")
    assert [part.model_dump(exclude=hidden) for part in got] == [
        part.model_dump(exclude=hidden) for part in wanted
    ]


def test_sdk_on_another_provider(sdk: genai.Client, replay: Replay) -> None:
    got = sdk.models.generate_content(model=play(replay, TOOLS), contents="What is the weather?")
    message = json.loads(TOOLS.answer)["choices"][0]["message"]
    assert got.function_calls is not None
    call = got.function_calls[0]
    assert call.name == message["tool_calls"][0]["function"]["name"]
    assert call.args == json.loads(message["tool_calls"][0]["function"]["arguments"])
    assert got.usage_metadata is not None
    assert got.usage_metadata.prompt_token_count
    streamed = list(sdk.models.generate_content_stream(model=play(replay, PARALLEL), contents="Hello"))
    calls = [call for part in streamed for call in part.function_calls or ()]
    assert len(calls) > 1


def test_sdk_counts_and_embeds(sdk: genai.Client, replay: Replay) -> None:
    count = next(each for each in RECORDED if each.name.startswith("gemini/004-"))
    got = sdk.models.count_tokens(model=play(replay, count), contents="Hello")
    assert got.total_tokens == json.loads(count.answer)["totalTokens"]
    vectors = {
        "object": "list",
        "model": "e",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    }
    replay.answer("openai", "embedder", answer(200, vectors))
    embedded = sdk.models.embed_content(model="openai/embedder", contents="Hello")
    assert embedded.embeddings is not None
    assert [each.values for each in embedded.embeddings] == [[0.5, -0.25]]
    assert replay.journal.of("embedder")[-1].json["input"] in ("Hello", ["Hello"])


def test_one_embedding_is_answered_in_the_shape_of_one(client: httpx.Client, replay: Replay) -> None:
    row = {"object": "embedding", "index": 0, "embedding": [0.5]}
    replay.answer("openai", "single", answer(200, {"object": "list", "model": "e", "data": [row]}))
    body = {"content": {"parts": [{"text": "Hello"}], "role": "user"}}
    got = client.post("/v1beta/models/openai/single:embedContent", json=body).json()
    assert got["embedding"] == {"values": [0.5]}


def test_sdk_lists_models(sdk: genai.Client) -> None:
    listed = [model.name for model in sdk.models.list(config={"page_size": 40})]
    assert "models/pair-0" in listed
    assert len(set(listed)) == len(listed) > 100
    assert sdk.models.get(model="pair-0").name == "models/pair-0"
    with pytest.raises(errors.ClientError) as missing:
        sdk.models.get(model="no-such-alias")
    assert missing.value.code == 404


def test_sdk_s_errors(sdk: genai.Client, replay: Replay) -> None:
    slow = {"error": {"message": "slow", "type": "requests", "code": "rate_limit_exceeded"}}
    replay.answer("openai", "limited", answer(429, slow, {"retry-after": "7"}))
    with pytest.raises(errors.ClientError) as limited:
        sdk.models.generate_content(model="openai/limited", contents="Hello")
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
