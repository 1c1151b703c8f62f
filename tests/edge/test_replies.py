"""What the edge itself refuses is said in the caller's own shape."""

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from services.mesh.edge import EdgePlan
from tests.edge.backends import Contract
from tests.edge.conftest import Edge, free_port, start_envoy

GENERATE = "/llmhub.completion.v1.CompletionService/Generate"
MIB = 1024 * 1024


def rpc(port: int, contract: Contract, text: str = "") -> grpc.RpcError | None:
    """Call Generate; return how it failed."""
    request = contract.message("llmhub.completion.v1.GenerateRequest")(model="m")
    request.messages.add().parts.add().text = text
    with grpc.insecure_channel(
        f"127.0.0.1:{port}", options=(("grpc.max_send_message_length", -1),)
    ) as channel:
        stub = channel.unary_unary(
            GENERATE, request_serializer=type(request).SerializeToString, response_deserializer=bytes
        )
        try:
            stub(request, timeout=30)
        except grpc.RpcError as error:
            return error
    return None


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1/messagesx", "/v1/files", "/v1/images/edits", "/api/v1/", "/llmhub.x/Y"]
)
def test_unknown_paths_are_a_status(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert (body["code"], body["details"]) == (5, [])
    assert "nothing at this path" in body["message"]


@pytest.mark.parametrize("path", ["/v1beta/files", "/v1beta/cachedContents/x?key=k"])
def test_unknown_paths_of_gemini_are_google_s_error(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")


def test_a_wrong_verb_is_a_status(client: httpx.Client) -> None:
    assert client.put("/api/v1/completions", json={}).json()["code"] == 5


def test_an_unknown_method_is_unimplemented(edge: Edge) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        stub = channel.unary_unary("/no.Such/Method", request_serializer=bytes, response_deserializer=bytes)
        with pytest.raises(grpc.RpcError) as caught:
            stub(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert not (caught.value.details() or "{").startswith("{")


@pytest.mark.parametrize(
    ("query", "said"),
    [("pagesize=3", 'Could not find field "pagesize"'), ("page_size=abc", "page_size: invalid value")],
)
def test_faulty_parameters_are_named(client: httpx.Client, query: str, said: str) -> None:
    answer = client.get(f"/api/v1/usage?{query}")
    assert answer.status_code == 400
    assert answer.json()["code"] == 3
    assert said in answer.json()["message"]


def test_garbage_is_a_status(client: httpx.Client) -> None:
    answer = client.post("/api/v1/completions", content=b"{nope")
    assert (answer.status_code, answer.json()["code"]) == (400, 3)


def test_a_service_s_refusal_keeps_its_code_and_details(
    edge: Edge, client: httpx.Client, contract: Contract
) -> None:
    status = contract.message("google.rpc.ErrorInfo")(reason="RATE_LIMITED", domain="llmhub")
    details = b"\x08\x08\x12\x04slow\x1a" + _any("google.rpc.ErrorInfo", status.SerializeToString())

    def refuse(_request: object, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", details), ("retry-after", "3")))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow")

    edge.grpc["gateway"].behaviours[GENERATE] = refuse
    answer = client.post("/api/v1/completions", json={"model": "m"})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["code"] == 8
    assert answer.json()["details"][0]["reason"] == "RATE_LIMITED"


def _any(name: str, value: bytes) -> bytes:
    """The wire form of a google.protobuf.Any with its length before it."""
    url = f"type.googleapis.com/{name}".encode()
    body = b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(value)]) + value
    return bytes([len(body)]) + body


def test_thirty_mebibytes_pass(edge: Edge, client: httpx.Client, contract: Contract) -> None:
    body = json.dumps({"model": "m", "messages": [{"parts": [{"text": "x" * (30 * MIB)}]}]})
    assert client.post("/api/v1/completions", content=body).status_code == 200
    assert len(edge.grpc["gateway"].calls[-1].body.messages[0].parts[0].text) == 30 * MIB
    for path in ("/v1/chat/completions", "/v1/messages"):
        assert client.post(path, content=body).status_code == 200
        assert len(edge.http.calls[-1].body) == len(body)
    assert rpc(edge.port, contract, "x" * (30 * MIB)) is None


def test_thirty_three_mebibytes_are_refused_in_shape(
    edge: Edge, client: httpx.Client, contract: Contract
) -> None:
    body = json.dumps({"model": "m", "messages": [{"parts": [{"text": "x" * (33 * MIB)}]}]}).encode()
    pieces = [body[start : start + MIB] for start in range(0, len(body), MIB)]
    rest = client.post("/api/v1/completions", content=body)
    assert (rest.status_code, rest.json()["code"]) == (413, 3)
    # Without a content-length it is seen only as it passes.
    chunked = client.post("/api/v1/completions", content=iter(pieces))
    assert (chunked.status_code, chunked.json()["code"]) == (413, 3)
    openai = client.post("/v1/chat/completions", content=body)
    assert (openai.status_code, openai.json()["error"]["type"]) == (413, "invalid_request_error")
    anthropic = client.post("/v1/messages", content=body)
    assert (anthropic.status_code, anthropic.json()["error"]["type"]) == (413, "request_too_large")
    error = rpc(edge.port, contract, "x" * (33 * MIB))
    assert error is not None
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not edge.grpc["gateway"].calls
    assert not edge.http.calls


@pytest.fixture
def orphan(folder: Path) -> Iterator[int]:
    """An edge with nothing behind it."""
    names = ("gateway", "gateway-http", "router", "auth", "billing")
    plan = EdgePlan(
        upstreams={name: (f"unix:{folder / name}.sock",) for name in names},
        admin_socket=folder / "admin.sock",
        port=free_port(),
    )
    process = start_envoy(plan, folder)
    yield plan.port
    process.terminate()
    process.wait(10)


def test_a_service_that_is_down_is_unavailable_on_every_door(orphan: int, contract: Contract) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{orphan}", timeout=30) as client:
        rest = client.post("/api/v1/completions", json={"model": "m"})
        assert (rest.status_code, rest.json()["code"]) == (503, 14)
        openai = client.post("/v1/chat/completions", json={})
        assert (openai.status_code, openai.json()["error"]["type"]) == (503, "server_error")
        anthropic = client.post("/v1/messages", json={})
        assert anthropic.status_code == 503
        assert (anthropic.json()["type"], anthropic.json()["error"]["type"]) == ("error", "overloaded_error")
        for path in ("/v1/messages?beta=true", "/v1/models/x"):
            asked = client.get(path, headers={"anthropic-version": "2023-06-01"})
            assert asked.json()["error"]["type"] == "overloaded_error", path
        for path in (
            "/v1beta/models/openai/x:generateContent?key=k",
            "/v1/models/openai/x:streamGenerateContent?alt=sse",
            "/v1/models/openai/x:batchEmbedContents",
            "/v1/models/openai/x:embedContent",
        ):
            gemini = client.post(path, json={})
            assert gemini.status_code == 503
            error = gemini.json()["error"]
            assert (error["code"], error["status"]) == (503, "UNAVAILABLE"), path
        google = client.get("/v1/models", headers={"x-goog-api-key": "k"})
        assert google.json()["error"]["status"] == "UNAVAILABLE"
        assert client.get("/v1/models?a=b").json()["error"]["type"] == "server_error"
        assert client.post("/v1/responses/resp_1/cancel").json()["error"]["type"] == "server_error"
        assert client.get("/health").status_code == 503
    error = rpc(orphan, contract)
    assert error is not None
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert not (error.details() or "{").startswith("{")
