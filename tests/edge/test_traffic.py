"""What passes the edge: which headers, in what form, how promptly, and what is written down about it."""

import itertools
import json
import stat
import struct
import time
from collections.abc import Iterator

import grpc
import httpx
import pytest

from services.mesh import envoy_admin
from tests.edge.backends import Contract
from tests.edge.conftest import Edge

SERVICE = "/llmhub.completion.v1.CompletionService"
SPOOFED = {
    "x-llmhub-principal": "admin",
    "x-llmhub-peer": "1",
    "x-envoy-retry-on": "5xx",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-original-path": "/spoofed",
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-host": "evil.example",
    "forwarded": "for=203.0.113.9",
    "x-real-ip": "203.0.113.9",
}


def test_spoofed_headers_are_stripped(edge: Edge, client: httpx.Client, contract: Contract) -> None:
    client.post("/v1/chat/completions", json={}, headers=SPOOFED)
    client.post("/api/v1/completions", json={"model": "m"}, headers=SPOOFED)
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        stub = channel.unary_unary(
            f"{SERVICE}/Generate", request_serializer=bytes, response_deserializer=bytes
        )
        stub(b"", metadata=tuple(SPOOFED.items()), timeout=10)
    seen = [*edge.http.calls, *edge.grpc["gateway"].calls]
    assert len(seen) == 3
    for call in seen:
        passed = {name: value for name, value in call.headers.items() if SPOOFED.get(name) == value}
        assert not passed, call.path
        assert not [name for name in call.headers if name.startswith("x-llmhub-")]


def test_keys_and_vendor_headers_pass(edge: Edge, client: httpx.Client) -> None:
    sent = {"authorization": "Bearer k", "x-api-key": "k", "anthropic-version": "2023-06-01", "x-custom": "1"}
    client.post("/v1/messages", json={}, headers=sent)
    assert sent.items() <= edge.http.calls[-1].headers.items()


def test_a_caller_s_request_id_passes_and_none_is_made(edge: Edge, client: httpx.Client) -> None:
    given = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
    client.post("/v1/messages", json={}, headers={"x-request-id": given})
    client.post("/v1/messages", json={})
    assert [call.headers.get("x-request-id") for call in edge.http.calls] == [given, None]


def test_a_deadline_reaches_the_service_and_is_its_to_enforce(edge: Edge) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        stub = channel.unary_unary(
            f"{SERVICE}/Generate", request_serializer=bytes, response_deserializer=bytes
        )
        remaining: list[float] = []

        def note(_request: object, context: grpc.ServicerContext) -> object:
            remaining.append(context.time_remaining())
            return edge.grpc["gateway"].contract.message("llmhub.completion.v1.GenerateResponse")()

        edge.grpc["gateway"].behaviours[f"{SERVICE}/Generate"] = note
        stub(b"", timeout=20)
    # grpc writes what is left with two or three digits, rounded up.
    assert 10 < remaining[0] <= 21


def test_rest_prints_names_defaults_and_only_known_counts(
    edge: Edge, client: httpx.Client, contract: Contract
) -> None:
    answer = contract.message("llmhub.completion.v1.GenerateResponse")()
    answer.usage.input_tokens = 0
    answer.candidates.add().finish.reason = 1
    edge.grpc["gateway"].behaviours[f"{SERVICE}/Generate"] = lambda _request, _context: answer
    body = client.post("/api/v1/completions", json={"model": "m"}).json()
    assert body["usage"]["input_tokens"] == "0"
    assert "output_tokens" not in body["usage"]
    assert body["candidates"][0]["index"] == 0
    assert body["candidates"][0]["finish"]["reason"].startswith("FINISH_REASON_")
    assert body["provider_model"] == ""


def test_rest_streams_are_server_sent_events_one_per_message(
    edge: Edge, client: httpx.Client, contract: Contract
) -> None:
    message = contract.message("llmhub.completion.v1.GenerateStreamResponse")
    first, last = message(), message()
    first.events.add().block_delta.text = "hi"
    last.events.add().finished.complete = False
    edge.grpc["gateway"].behaviours[f"{SERVICE}/GenerateStream"] = lambda *_: iter([first, last])
    answer = client.post("/v1/stream", json={"model": "m"})
    assert answer.headers["content-type"] == "text/event-stream"
    frames = [frame for frame in answer.text.split("\n\n") if frame]
    events = [json.loads(frame.removeprefix("data: "))["events"][0] for frame in frames]
    assert events[0]["block_delta"]["text"] == "hi"
    assert events[1]["finished"]["complete"] is False


def paced(pause: float, pieces: int, piece: object) -> Iterator[object]:
    for _ in range(pieces):
        time.sleep(pause)
        yield piece


def gaps(client: httpx.Client, path: str) -> list[float]:
    """Milliseconds between the arrivals of an answer's pieces."""
    arrivals = []
    with client.stream("POST", path, json={"model": "m"}) as answer:
        arrivals = [time.perf_counter() for _ in answer.iter_raw()]
    return [(after - before) * 1000 for before, after in itertools.pairwise(arrivals)]


def test_small_pieces_are_not_held_back(edge: Edge, client: httpx.Client, contract: Contract) -> None:
    message = contract.message("llmhub.completion.v1.GenerateStreamResponse")()
    message.events.add().block_delta.text = "x"
    edge.grpc["gateway"].behaviours[f"{SERVICE}/GenerateStream"] = lambda *_: paced(0.01, 40, message)
    edge.http.pieces = lambda: (bytes(piece) for piece in paced(0.01, 40, b"data: x\n\n"))  # type: ignore[call-overload]
    for path in ("/v1/stream", "/v1/chat/completions"):
        found = sorted(gaps(client, path))
        assert len(found) >= 30, path
        # Nagle's algorithm against delayed acknowledgements would make 40 ms of every second gap.
        assert found[len(found) // 2] < 30, path


def web(edge: Edge, client: httpx.Client, method: str, body: bytes, **headers: str) -> httpx.Response:
    framed = b"\x00" + struct.pack(">I", len(body)) + body
    sent = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", **headers}
    return client.post(f"{SERVICE}/{method}", content=framed, headers=sent)


def test_grpc_web_calls_and_errors_reach_a_page(edge: Edge, client: httpx.Client) -> None:
    answer = web(edge, client, "GenerateStream", b"", origin="https://app.example")
    assert answer.headers["content-type"].startswith("application/grpc-web")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "grpc-status-details-bin" in answer.headers["access-control-expose-headers"]
    assert b"grpc-status:0" in answer.content.replace(b" ", b"")

    def refuse(_request: object, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such model")

    edge.grpc["gateway"].behaviours[f"{SERVICE}/Generate"] = refuse
    refused = web(edge, client, "Generate", b"")
    assert "5" in (
        refused.headers.get("grpc-status", ""),
        *refused.text.replace(" ", "").split("grpc-status:")[-1][:1],
    )


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/completions",
        f"{SERVICE}/Generate",
        "/v1/chat/completions",
        "/v1beta/models/openai/x:generateContent",
    ],
)
def test_preflights_are_answered_at_the_edge(edge: Edge, client: httpx.Client, path: str) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    allowed = client.options(path, headers={"origin": "https://app.example", **asked})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    for name in ("authorization", "x-api-key", "x-goog-api-key", "x-goog-api-client"):
        assert name in allowed.headers["access-control-allow-headers"]
    refused = client.options(path, headers={"origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in refused.headers
    assert not edge.http.calls
    assert not edge.grpc["gateway"].calls


def test_rest_answers_carry_cors_headers(client: httpx.Client) -> None:
    answer = client.post(
        "/api/v1/completions", json={"model": "m"}, headers={"origin": "https://app.example"}
    )
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


def test_only_the_owner_reaches_the_admin_interface(edge: Edge) -> None:
    assert stat.S_IMODE(edge.plan.admin_socket.stat().st_mode) == 0o600


async def test_the_admin_interface_answers(edge: Edge) -> None:
    assert await envoy_admin.active_requests(edge.plan.admin_socket) == 0
    with pytest.raises(envoy_admin.AdminUnreachable):
        await envoy_admin.call(edge.folder / "no.sock", "GET", "/stats")


async def test_the_access_log_has_no_secret_and_the_caller_s_path(edge: Edge, client: httpx.Client) -> None:
    client.get("/v1/models?key=s3cret-in-query", headers={"authorization": "Bearer s3cret-in-header"})
    client.get("/api/v1/usage?page_size=7", headers={"x-api-key": "s3cret-in-header"})
    await envoy_admin.call(edge.plan.admin_socket, "POST", "/reopen_logs")
    deadline = time.monotonic() + 15
    lines: list[dict[str, object]] = []
    while time.monotonic() < deadline and not any(line.get("path") == "/api/v1/usage" for line in lines):
        lines = [json.loads(line) for line in edge.access_log().splitlines()]
    assert any(
        line["path"] == "/api/v1/usage" and line["rpc"] == "/llmhub.usage.v1.UsageService/ListUsage"
        for line in lines
    )
    assert "s3cret" not in edge.access_log()
    assert "page_size" not in edge.access_log()


def test_a_second_process_cannot_share_the_port(edge: Edge) -> None:
    from services.mesh.front import PortTaken, require_free_port

    with pytest.raises(PortTaken, match="another port with --port"):
        require_free_port("127.0.0.1", edge.port)
