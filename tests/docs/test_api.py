"""What docs/api.md and docs/errors.md say is what the doors do, and their tables are those of the contract."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import anthropic
import grpc.aio
import httpx
import openai
import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from llmhub.embedding.v1.embedding_service_pb2 import EmbeddingInput, EmbedRequest
from llmhub.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from llmhub.types.v1.content_pb2 import Message, Part, Role
from services.mesh.edge.methods import public_methods
from services.mesh.edge.plan import DESCRIPTORS
from services.runtime.errors import BY_REASON
from tests.docs.pages import Reader, blocks
from tests.support.mesh import ROOT
from tools.gen import STEPS, run_step

API = ROOT / "docs" / "api.md"
ERRORS = ROOT / "docs" / "errors.md"
CHAT = {"model": "sim/echo", "messages": [{"role": "user", "content": "Hello"}]}
REST = {"model": "sim/echo", "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hello"}]}]}
SECONDS = 20.0


@pytest.fixture(scope="module")
def key(reader: Reader) -> str:
    found = (reader.mesh.folder / ".llmhub" / "bootstrap.key").read_text().strip()
    reader.variables["LLMHUB_KEY"] = found
    return found


def post(reader: Reader, key: str, path: str, body: object, **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): v for name, v in headers.items()}}
    return httpx.post(reader.mesh.base_url + path, json=body, headers=sent, timeout=SECONDS)


def test_the_tables_are_current() -> None:
    step = next(step for step in STEPS if step.writes == "docs")
    assert run_step(step, check=True) == [], "run `make gen` and commit the result"


def test_every_rpc_and_every_reason_is_in_the_tables() -> None:
    page, errors = API.read_text(), ERRORS.read_text()
    for method in public_methods(DESCRIPTORS):
        assert f"`{method.path.removeprefix('/')}`" in page
        for verb, path in method.rest:
            assert f"`{verb} {path}`" in page
    for reason in BY_REASON:
        assert len(re.findall(rf"^\| `{reason}` \|", errors, re.MULTILINE)) == 2


def test_a_caller_s_uuid_names_the_call_and_anything_else_is_replaced(reader: Reader, key: str) -> None:
    mine = str(uuid.uuid4())
    answer = post(reader, key, "/v1/chat/completions", CHAT, x_request_id=mine)
    assert answer.headers["x-request-id"] == answer.headers["request-id"] == mine
    assert answer.headers["x-llmhub-model"] == "sim/echo"
    assert post(reader, key, "/api/v1/completions", REST, x_request_id=mine).json()["request_id"] == mine
    made = post(reader, key, "/v1/chat/completions", CHAT, x_request_id="mine").headers["x-request-id"]
    assert uuid.UUID(made).version == 7


async def test_trailers_name_the_call_and_who_answered(reader: Reader, key: str) -> None:
    question = GenerateRequest(
        request_id=str(uuid.uuid4()),
        model="sim/echo",
        messages=[Message(role=Role.ROLE_USER, parts=[Part(text="Hello")])],
    )
    inputs = EmbedRequest(model="sim/embed", inputs=[EmbeddingInput(text="Hello")])
    metadata = (("authorization", f"Bearer {key}"),)
    async with grpc.aio.insecure_channel(reader.mesh.target) as channel:
        call = CompletionServiceStub(channel).Generate(question, metadata=metadata)
        answer, trailers = await call, dict(await call.trailing_metadata() or ())
        assert trailers["x-request-id"] == answer.request_id == question.request_id
        assert trailers["x-llmhub-model"] == answer.model == "sim/echo"
        embedding = EmbeddingServiceStub(channel).Embed(inputs, metadata=metadata)
        made, trailers = await embedding, dict(await embedding.trailing_metadata() or ())
        assert trailers["x-request-id"] == made.request_id
        question.model = "sim/fail"
        refused = CompletionServiceStub(channel).Generate(question, metadata=metadata)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await refused
        assert dict(caught.value.trailing_metadata() or ())["x-request-id"] == question.request_id


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/chat/completions", CHAT), ("/api/v1/completions", REST)],
    ids=["OpenAI-shaped", "REST"],
)
def test_a_deadline_may_stand_in_a_header(reader: Reader, key: str, path: str, body: dict[str, Any]) -> None:
    slow = {**body, "model": "sim/slow", "metadata": {"sim_words": "1000"}}
    answer = post(reader, key, path, slow, grpc_timeout="200m")
    assert answer.status_code == 504
    assert "deadline" in answer.text.lower()


def test_a_parameter_that_does_not_exist_is_refused_and_a_member_ignored(reader: Reader, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    assert httpx.get(f"{reader.mesh.base_url}/api/v1/models?nothing=1", headers=headers).status_code == 400
    assert post(reader, key, "/api/v1/completions", {**REST, "nothing": 1}).status_code == 200


def test_sdks_raise_where_a_stream_breaks_off(reader: Reader, key: str) -> None:
    words: list[str] = []
    with openai.OpenAI(base_url=f"{reader.mesh.base_url}/v1", api_key=key, max_retries=0) as client:
        asked: Any = {**CHAT, "model": "sim/broken", "stream": True}
        with pytest.raises(openai.APIError), client.chat.completions.create(**asked) as chunks:
            words += [chunk.choices[0].delta.content for chunk in chunks]
    with anthropic.Anthropic(base_url=reader.mesh.base_url, api_key=key, max_retries=0) as other:
        asked = {**CHAT, "model": "sim/broken", "stream": True, "max_tokens": 9}
        with pytest.raises(anthropic.APIStatusError), other.messages.create(**asked) as events:
            list(events)


def test_a_stream_that_fails_before_its_first_event_is_a_plain_error(reader: Reader, key: str) -> None:
    rest = post(reader, key, "/api/v1/stream", {**REST, "model": "sim/fail"})
    assert rest.status_code == 503
    assert rest.json()["details"][0]["reason"] == "UPSTREAM_FAILED"
    for path, status in (("/v1/chat/completions", 503), ("/v1/messages", 500)):
        body = {**CHAT, "model": "sim/fail", "stream": True, "max_tokens": 9}
        answer = post(reader, key, path, body)
        assert (answer.status_code, "error" in answer.json()) == (status, True)


def test_what_the_edge_refuses_itself_has_the_door_s_shape(reader: Reader, key: str) -> None:
    large = json.dumps({**REST, "extensions": {"openai": "x" * (33 * 1024 * 1024)}})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    url = f"{reader.mesh.base_url}/api/v1/completions"
    answer = httpx.post(url, content=large, headers=headers, timeout=SECONDS)
    assert (answer.status_code, answer.json()["code"]) == (413, 3)


def test_the_snippets_print_what_they_show(reader: Reader, key: str) -> None:
    reader.read(blocks(ERRORS))
