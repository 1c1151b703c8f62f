"""Keys are taken wherever SDKs put them, and stand nowhere afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import anthropic
import grpc
import httpx
import pytest

from llmhub.model.v1.model_service_pb2 import ListModelsRequest
from llmhub.model.v1.model_service_pb2_grpc import ModelServiceStub
from tests.support.exchanges import named
from tests.support.faults import answer
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay
from tests.support.sdks import anthropic_through

pytestmark = pytest.mark.usefixtures("clean_wire")

WRONG = "wrong-key-0123456789-0123456789-abcdef"
MARK = "left-in-the-log"
WHOLE = named("openai/018")
PLACES: dict[str, dict[str, Any]] = {
    "authorization": {"headers": {"authorization": f"Bearer {ADMIN_KEY}"}},
    "x-api-key": {"headers": {"x-api-key": ADMIN_KEY}},
    "api-key": {"headers": {"api-key": ADMIN_KEY}},
    "x-goog-api-key": {"headers": {"x-goog-api-key": ADMIN_KEY}},
    "query": {"params": {"key": ADMIN_KEY}},
}


@pytest.fixture(scope="module")
def client(mesh: Mesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.base_url, timeout=20) as client:
        yield client


@pytest.mark.parametrize("place", PLACES)
def test_every_place_is_looked_at(client: httpx.Client, replay: Replay, place: str) -> None:
    replay.answer("openai", f"keyed-{place}", WHOLE.program())
    body = {"model": f"openai/keyed-{place}", "messages": [{"role": "user", "content": "Hello"}]}
    # The replay server complains of keys in anything that arrives there.
    assert client.post("/v1/chat/completions", json=body, **PLACES[place]).status_code == 200
    assert client.get("/v1/models", **PLACES[place]).status_code == 200


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key"])
def test_grpc_takes_the_same_names(mesh: Mesh, name: str) -> None:
    with grpc.insecure_channel(mesh.target) as channel:
        stub: Any = ModelServiceStub(cast(Any, channel))
        listed = stub.ListModels(ListModelsRequest(page_size=1), metadata=((name, ADMIN_KEY),), timeout=10)
    assert len(listed.models) == 1


def test_no_log_has_a_key_whatever_became_of_the_call(
    client: httpx.Client, mesh: Mesh, replay: Replay
) -> None:
    replay.answer("openai", "logged", answer(500, {"error": {"message": "broken", "type": "server_error"}}))
    calls: list[tuple[str, str, dict[str, Any] | bytes]] = [
        ("POST", "/v1/chat/completions", {"model": "openai/logged", "messages": []}),
        ("POST", "/v1/chat/completions", b"{" * 10),
        ("POST", "/v1beta/models/openai/logged:generateContent", {"contents": []}),
        ("POST", "/v1beta/models/nothing:unknownVerb", {}),
        ("POST", "/v1/models", {}),
        ("GET", "/v1/models/nobody/nothing", b""),
        ("GET", "/v1beta/models", b""),
        ("GET", "/api/v1/usage", b""),
        ("GET", f"/nothing/{MARK}", b""),
    ]
    for key in (ADMIN_KEY, WRONG):
        for method, path, body in calls:
            content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
            got = client.request(method, path, params={"key": key, "alt": "sse"}, **content)
            assert key not in got.text
            assert key not in str(got.headers)
    log = mesh.data / "log" / "edge-access.log"
    socket = next(mesh.data.rglob("envoy-admin.sock"))
    until = time.monotonic() + 15
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as admin:
        while sum(MARK in line for line in log.read_text().splitlines()) < 2 and time.monotonic() < until:
            admin.post("http://envoy/reopen_logs")
    assert sum(MARK in line for line in log.read_text().splitlines()) == 2
    found = [
        file for file in texts(mesh.folder) if any(key in file.read_text() for key in (ADMIN_KEY, WRONG))
    ]
    assert found == []


def texts(folder: Path) -> Iterator[Path]:
    """Logs, configuration and whatever else is text below a folder."""
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix in {".log", ".yaml", ".json", ".txt", ""}:
            yield file


def test_models_for_anthropic_s_sdk(mesh: Mesh) -> None:
    with anthropic_through(mesh) as client:
        first = client.models.list(limit=3)
        assert (len(first.data), first.has_more, first.last_id) == (3, True, first.data[2].id)
        listed = [model.id for model in client.models.list(limit=50)]
        assert listed == sorted(listed)
        assert "pair-0" in listed
        assert len(set(listed)) == len(listed) > 100
        page = client.models.list(before_id=first.data[2].id, limit=10)
        assert [model.id for model in page.data] == listed[:2]
        assert client.models.retrieve("pair-0").display_name == "pair-0"
        with pytest.raises(anthropic.NotFoundError):
            client.models.retrieve("no-such-alias")
        with pytest.raises(anthropic.BadRequestError):
            client.models.list(after_id="no-such-alias")


def test_lists_of_models_name_the_call_in_the_caller_s_way(client: httpx.Client) -> None:
    key = {"x-api-key": ADMIN_KEY}
    theirs = client.get("/v1/models", headers={**key, "anthropic-version": "2023-06-01"})
    assert theirs.headers["request-id"] == theirs.headers["x-request-id"]
    refused = client.get("/v1/models/nobody", headers={**key, "anthropic-version": "2023-06-01"})
    assert refused.json()["type"] == "error"
    assert refused.headers["request-id"] == refused.json()["request_id"]
    ours = client.get("/v1/models/nobody", headers=key)
    assert ours.json()["error"]["code"] == "model_not_found"
    assert ours.headers["x-request-id"]


def test_head_of_the_root(client: httpx.Client) -> None:
    assert client.head("/").status_code == 200
