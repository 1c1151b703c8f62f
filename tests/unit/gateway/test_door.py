"""The HTTP door's own answers: methods, keys, probes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmhub.types.v1.access_pb2 import Scope
from services.gateway.http.app import Door
from services.runtime.context import Principal
from services.runtime.errors import KeyInvalid, RequestInvalid
from tests.support.fakes_gateway import end, pipeline, text

KEY = "k" * 32


class OneKey:
    """Knows one key."""

    def ready(self) -> bool:
        return True

    async def authenticate(self, token: str) -> Principal:
        if token != KEY:
            raise KeyInvalid("the key is not known")
        return Principal(key_id="k1", scopes=frozenset({Scope.SCOPE_INFERENCE}))


class NoModels:
    """An empty catalogue."""

    async def answer(self, dialect: str, path: str, query: str, token: str) -> bytes:
        return b'{"object":"list","data":[]}'


class NoDefaults:
    """Knows no model for calls that name none."""

    async def resolve(self, endpoint: object, principal: Principal, token: str) -> str:
        raise RequestInvalid("model: is required")


class NoResponses:
    """Keeps none and takes no calls for them."""

    def verbs(self, path: str) -> str:
        return ""


async def exchange(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"", *, ready: bool = True
) -> tuple[int, dict[str, str], bytes]:
    made, _, _ = pipeline({"a": [text("x"), end()]})
    parts: Any = (made, OneKey(), NoModels(), NoDefaults(), NoResponses())
    door = Door(*parts, max_body_bytes=100, ready=lambda: ready)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": given}
    await door(scope, receive, send)
    named = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], named, b"".join(message.get("body", b"") for message in sent[1:])


WITH_KEY = {"authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/messages", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/x/y", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_and_says_which_is_right(method: str, path: str, allow: str) -> None:
    status, headers, _ = await exchange(method, path, WITH_KEY)
    assert (status, headers["allow"]) == (405, allow)


async def test_head_of_the_models_has_no_body() -> None:
    status, headers, body = await exchange("HEAD", "/v1/models", WITH_KEY)
    assert (status, body) == (200, b"")
    assert headers["content-length"] == "27"


@pytest.mark.parametrize("ready", [True, False])
async def test_probes(ready: bool) -> None:
    assert (await exchange("GET", "/health", ready=ready))[0] == (200 if ready else 503)
    assert (await exchange("GET", "/health/ready", ready=ready))[0] == (200 if ready else 503)
    assert (await exchange("GET", "/health/live", ready=ready))[0] == 200
    assert (await exchange("HEAD", "/", ready=ready))[0] == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic abc"}, {"x-api-key": "wrong"}])
async def test_without_a_good_key_nothing_is_read(headers: dict[str, str]) -> None:
    status, _, body = await exchange("POST", "/v1/messages", headers, b"not even JSON")
    assert status == 401
    assert json.loads(body)["type"] == "error"


async def test_a_body_over_the_limit_is_413_in_the_vendors_shape() -> None:
    status, _, body = await exchange("POST", "/v1/chat/completions", WITH_KEY, b"x" * 101)
    assert status == 413
    assert json.loads(body)["error"]["message"]
