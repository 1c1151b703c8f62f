"""What the edge sends to another process: calls that nothing was done for, and no others."""

from __future__ import annotations

import grpc
import httpx

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from services.runtime.status import NOT_STARTED
from tests.edge.backends import Behaviour
from tests.edge.conftest import Edge

GENERATE = "/llmhub.completion.v1.CompletionService/Generate"


def refusing(times: int, *trailers: tuple[str, str]) -> Behaviour:
    """Refuse so many calls with these trailers, then answer."""
    left = [None] * times

    def behave(_: object, context: grpc.ServicerContext) -> GenerateResponse:
        if left:
            left.pop()
            context.set_trailing_metadata(trailers)
            context.abort(grpc.StatusCode.UNAVAILABLE, "draining")
        return GenerateResponse()

    return behave


def generate(edge: Edge) -> grpc.StatusCode:
    """Make a call whose caller may not see the mark, and return how it ended."""
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        stub = channel.unary_unary(GENERATE, request_serializer=bytes, response_deserializer=bytes)
        call = stub.future(b"", timeout=10)
        assert NOT_STARTED not in dict(call.trailing_metadata() or ())
        return call.code()


def test_a_call_that_was_not_started_goes_to_another_process(edge: Edge, client: httpx.Client) -> None:
    edge.http.refusals = [{NOT_STARTED: "1"}]
    body = {"model": "m", "messages": []}
    assert client.post("/v1/chat/completions", json=body).status_code == 200
    assert [call.body for call in edge.http.calls] == [edge.http.calls[0].body] * 2


def test_a_call_that_was_started_is_not_sent_again(edge: Edge, client: httpx.Client) -> None:
    edge.http.refusals = [{}]
    assert client.post("/v1/chat/completions", json={}).status_code == 503
    assert len(edge.http.calls) == 1


def test_no_caller_sees_the_mark(edge: Edge, client: httpx.Client) -> None:
    edge.http.refusals = [{NOT_STARTED: "1"}] * 20
    answer = client.post("/v1/chat/completions", json={})
    assert answer.status_code == 503
    assert NOT_STARTED not in answer.headers
    assert 1 < len(edge.http.calls) < 20


def test_grpc_calls_go_to_another_process(edge: Edge) -> None:
    backend = edge.grpc["gateway"]
    backend.behaviours[GENERATE] = refusing(1, (NOT_STARTED, "1"))
    assert generate(edge) == grpc.StatusCode.OK
    assert len(backend.calls) == 2


def test_grpc_calls_that_were_started_are_not_sent_again(edge: Edge) -> None:
    backend = edge.grpc["gateway"]
    backend.behaviours[GENERATE] = refusing(1)
    assert generate(edge) == grpc.StatusCode.UNAVAILABLE
    assert len(backend.calls) == 1


def test_no_grpc_caller_sees_the_mark(edge: Edge) -> None:
    edge.grpc["gateway"].behaviours[GENERATE] = refusing(20, (NOT_STARTED, "1"))
    assert generate(edge) == grpc.StatusCode.UNAVAILABLE


def test_rest_calls_go_to_another_process(edge: Edge, client: httpx.Client) -> None:
    edge.grpc["gateway"].behaviours[GENERATE] = refusing(1, (NOT_STARTED, "1"))
    assert client.post("/api/v1/completions", json={"model": "m"}).status_code == 200
