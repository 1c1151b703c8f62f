"""curl on every REST binding of the contract. A binding without a case here fails the last test."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from services.mesh.edge.methods import public_methods
from services.mesh.edge.plan import DESCRIPTORS
from tests.support.curl import Reply, curl
from tests.support.exchanges import named
from tests.support.mesh import Mesh
from tests.support.replay import Replay

pytestmark = [
    pytest.mark.usefixtures("clean_wire"),
    pytest.mark.skipif(
        shutil.which("curl") is None, reason="needs curl: install it with your package manager"
    ),
]

Check = Callable[[Mesh, Replay, str], None]
CASES: dict[tuple[str, str], Check] = {}


def case(*bindings: tuple[str, str]) -> Callable[[Check], Check]:
    """Note what checks these bindings; the check gets the binding's path."""

    def noted(check: Check) -> Check:
        CASES.update(dict.fromkeys(bindings, check))
        return check

    return noted


def generation(replay: Replay, name: str, **more: Any) -> dict[str, Any]:
    exchange = named(name)
    replay.answer(exchange.provider, exchange.model, exchange.program())
    model = f"{exchange.provider}/{exchange.model}"
    return {"model": model, "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hello"}]}], **more}


def key(mesh: Mesh) -> dict[str, Any]:
    made = curl(mesh, "POST", "/api/v1/keys", {"name": "of a test", "scopes": ["SCOPE_INFERENCE"]})
    assert made.status == 200, made.text
    return dict(made.json)


def ok(reply: Reply) -> Any:
    assert reply.status == 200, reply.text
    assert reply.content_type.startswith("application/json")
    return reply.json


@case(("POST", "/api/v1/completions"), ("POST", "/v1/completions"))
def generate(mesh: Mesh, replay: Replay, path: str) -> None:
    reply = curl(mesh, "POST", path, generation(replay, "openai/018"))
    got = ok(reply)
    assert reply.request_id == got["request_id"]
    assert got["candidates"][0]["parts"][0]["text"].startswith("This is a test")
    assert got["candidates"][0]["finish"]["reason"] == "FINISH_REASON_END"
    assert got["usage"]["input_tokens"] == "12"
    assert got["usage"]["measure"] == "MEASURE_VENDOR"


@case(("POST", "/api/v1/stream"), ("POST", "/v1/stream"))
def stream(mesh: Mesh, replay: Replay, path: str) -> None:
    request_id = str(uuid.uuid4())
    reply = curl(mesh, "POST", path, generation(replay, "anthropic/025", request_id=request_id))
    assert reply.status == 200, reply.text
    assert reply.request_id == request_id
    assert reply.content_type.startswith("text/event-stream")
    events = [event for message in reply.events for event in message["events"]]
    assert [int(event.get("sequence", 0)) for event in events] == list(range(len(events)))
    assert events[-1]["finished"]["complete"] is True
    names = [
        event["block_start"]["part"]["tool_call"]["name"]
        for event in events
        if "tool_call" in event.get("block_start", {}).get("part", {})
    ]
    assert names == ["pelican_name_generator"] * 2


@case(("POST", "/api/v1/completions:countTokens"))
def count_tokens(mesh: Mesh, replay: Replay, path: str) -> None:
    got = ok(curl(mesh, "POST", path, generation(replay, "anthropic/001")))
    assert int(got["input_tokens"]) > 0


@case(("POST", "/api/v1/completions/{request_id}:cancel"))
def cancel(mesh: Mesh, replay: Replay, path: str) -> None:
    reply = curl(mesh, "POST", path.replace("{request_id}", str(uuid.uuid4())), {})
    assert reply.status == 404, reply.text
    assert reply.json["details"][0]["reason"] == "REQUEST_NOT_FOUND"


@case(("GET", "/api/v1/completions/{request_id}/decision"))
def decision(mesh: Mesh, replay: Replay, path: str) -> None:
    request_id = str(uuid.uuid4())
    ok(curl(mesh, "POST", "/api/v1/completions", generation(replay, "openai/018", request_id=request_id)))
    got = ok(curl(mesh, "GET", path.replace("{request_id}", request_id)))
    assert got["decision"]["attempts"][0]["outcome"] == "OUTCOME_OK"
    assert got["decision"]["strategy"] == "direct"


@case(("POST", "/api/v1/embeddings"))
def embed(mesh: Mesh, replay: Replay, path: str) -> None:
    exchange = named("openai/037")
    replay.answer(exchange.provider, exchange.model, exchange.program())
    asked = {"model": f"openai/{exchange.model}", "inputs": [{"text": "a"}]}
    assert ok(curl(mesh, "POST", path, asked))["embeddings"]


@case(("GET", "/api/v1/models"))
def models(mesh: Mesh, replay: Replay, path: str) -> None:
    first = ok(curl(mesh, "GET", f"{path}?page_size=2"))
    assert len(first["models"]) == 2
    second = ok(curl(mesh, "GET", f"{path}?page_size=2&page_token={first['next_page_token']}"))
    assert {model["id"] for model in first["models"]}.isdisjoint({model["id"] for model in second["models"]})
    assert curl(mesh, "GET", f"{path}?page_token=forged").status == 400


@case(("GET", "/api/v1/models/{model=**}"))
def model(mesh: Mesh, replay: Replay, path: str) -> None:
    for name in ("pair-0", "openai/gpt-4o-mini", "openai%2Fgpt-4o-mini"):
        got = ok(curl(mesh, "GET", path.replace("{model=**}", name)))
        assert got["model"]["id"] == name.replace("%2F", "/")


@case(("GET", "/api/v1/providers"), ("GET", "/v1/providers"))
def providers(mesh: Mesh, replay: Replay, path: str) -> None:
    listed = {provider["name"]: provider for provider in ok(curl(mesh, "GET", path))["providers"]}
    assert listed["unset"]["state"] == "PROVIDER_STATE_NOT_CONFIGURED"
    assert "LLMHUB_TESTS_UNSET" in listed["unset"]["state_message"]
    assert listed["anthropic"]["dialect"] == "anthropic"


@case(("GET", "/api/v1/providers/{provider}"), ("GET", "/v1/providers/{provider}"))
def provider(mesh: Mesh, replay: Replay, path: str) -> None:
    assert ok(curl(mesh, "GET", path.replace("{provider}", "mistral")))["provider"]["name"] == "mistral"
    assert curl(mesh, "GET", path.replace("{provider}", "nobody")).status == 404


@case(("POST", "/api/v1/providers/{provider}:test"))
def check_provider(mesh: Mesh, replay: Replay, path: str) -> None:
    checks = ok(curl(mesh, "POST", path.replace("{provider}", "unset"), {}))["checks"]
    assert checks[0]["kind"] == "PROVIDER_CHECK_KIND_CONFIGURATION"
    assert checks[0]["result"] == "PROVIDER_CHECK_RESULT_FAILED"
    assert "LLMHUB_TESTS_UNSET" in checks[0]["message"]
    assert {check["result"] for check in checks[1:]} == {"PROVIDER_CHECK_RESULT_SKIPPED"}
    assert curl(mesh, "POST", path.replace("{provider}", "nobody"), {}).status == 404


@case(("POST", "/api/v1/route:explain"))
def explain(mesh: Mesh, replay: Replay, path: str) -> None:
    got = ok(curl(mesh, "POST", path, {"model": "pair-1"}))
    assert [entry["provider"] for entry in got["decision"]["considered"]] == ["anthropic", "openai"]


@case(("GET", "/api/v1/usage"))
def usage(mesh: Mesh, replay: Replay, path: str) -> None:
    got = ok(curl(mesh, "GET", f"{path}?page_size=1&filter.provider=nobody"))
    assert got.get("records", []) == []


@case(("GET", "/api/v1/usage:aggregate"))
def aggregate(mesh: Mesh, replay: Replay, path: str) -> None:
    query = "?group_by=DIMENSION_PROVIDER&group_by=DIMENSION_DAY"
    for group in ok(curl(mesh, "GET", path + query)).get("aggregates", []):
        assert group["provider"]
        assert group["day"]


@case(("POST", "/api/v1/keys"))
def create_key(mesh: Mesh, replay: Replay, path: str) -> None:
    made = key(mesh)
    assert curl(mesh, "GET", "/api/v1/models", key=made["secret"]).status == 403
    assert curl(mesh, "POST", path, {"name": ""}).status == 400


@case(("GET", "/api/v1/keys"))
def list_keys(mesh: Mesh, replay: Replay, path: str) -> None:
    made = key(mesh)
    reply = curl(mesh, "GET", f"{path}?page_size=1000")
    assert made["key"]["key_id"] in {each["key_id"] for each in ok(reply)["keys"]}
    assert made["secret"] not in reply.text


@case(("GET", "/api/v1/keys/{key_id}"))
def get_key(mesh: Mesh, replay: Replay, path: str) -> None:
    made = key(mesh)
    got = ok(curl(mesh, "GET", path.replace("{key_id}", made["key"]["key_id"])))
    assert got["key"]["name"] == "of a test"


@case(("PATCH", "/api/v1/keys/{key.key_id}"))
def update_key(mesh: Mesh, replay: Replay, path: str) -> None:
    url = path.replace("{key.key_id}", key(mesh)["key"]["key_id"])
    got = ok(curl(mesh, "PATCH", f"{url}?update_mask=name", {"name": "renamed"}))
    assert got["key"]["name"] == "renamed"


@case(("POST", "/api/v1/keys/{key_id}:rotate"))
def rotate_key(mesh: Mesh, replay: Replay, path: str) -> None:
    made = key(mesh)
    got = ok(curl(mesh, "POST", path.replace("{key_id}", made["key"]["key_id"]), {}))
    assert got["secret"] != made["secret"]
    assert got["key"]["key_id"] == made["key"]["key_id"]


@case(("POST", "/api/v1/keys/{key_id}:revoke"))
def revoke_key(mesh: Mesh, replay: Replay, path: str) -> None:
    made = key(mesh)
    for _ in range(2):
        got = ok(curl(mesh, "POST", path.replace("{key_id}", made["key"]["key_id"]), {}))
        assert got["key"]["revoked_at"]


BINDINGS = sorted({binding for method in public_methods(DESCRIPTORS) for binding in method.rest})


@pytest.mark.parametrize("binding", BINDINGS, ids=" ".join)
def test_binding(binding: tuple[str, str], mesh: Mesh, replay: Replay) -> None:
    assert binding in CASES, f"no curl case for {' '.join(binding)}: add one to this file"
    CASES[binding](mesh, replay, binding[1])


def test_every_case_is_a_binding() -> None:
    assert set(CASES) == set(BINDINGS)


@pytest.mark.parametrize("binding", BINDINGS, ids=" ".join)
def test_no_binding_answers_without_a_key(binding: tuple[str, str], mesh: Mesh, replay: Replay) -> None:
    verb, path = binding
    for name in ("{request_id}", "{key_id}", "{key.key_id}", "{provider}", "{model=**}"):
        path = path.replace(name, "x")
    reply = curl(mesh, verb, path, {} if verb != "GET" else None, key="not-a-key")
    assert reply.status == 401, reply.text
    assert reply.json["code"] == 16


def test_refusals_are_status_json(mesh: Mesh, replay: Replay) -> None:
    reply = curl(mesh, "POST", "/api/v1/completions", {"model": "no-such-alias", "messages": [{}]})
    assert reply.status == 404
    assert reply.json["details"][0]["reason"] == "MODEL_NOT_FOUND"
    invalid = curl(mesh, "POST", "/api/v1/completions", {"model": "openai/x"})
    assert invalid.status == 400
    violations = [row for detail in invalid.json["details"] for row in detail.get("field_violations", [])]
    assert violations[0]["field"] == "messages"
    assert curl(mesh, "POST", "/api/v1/completions", {"modle": "x"}).status == 400
    assert curl(mesh, "GET", "/api/v1/nothing").status == 404
