"""What has a route at the edge and what has none, by the contract itself."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from services.mesh import envoy_process
from services.mesh.edge import EdgePlan, Tls, render, to_yaml
from services.mesh.edge.methods import SERVED_BY, ContractIncomplete, PublicMethod, public_methods
from services.mesh.edge.routes import virtual_host
from tests.edge.backends import Contract
from tests.edge.conftest import Edge


def is_internal(method: Any) -> bool:
    """Read from the option's wire form, so that the test does not share code with what it tests."""
    access = next(value for field, value in method.GetOptions().ListFields() if field.name == "access")
    return bool(getattr(access, "internal", False))


def by_path(contract: Contract, *, internal: bool) -> list[str]:
    return [path for path, method in contract.methods.items() if is_internal(method) is internal]


def call(edge: Edge, contract: Contract, path: str) -> Any:
    """Call a method with an empty message over gRPC."""
    method = contract.methods[path]
    answer = contract.message(method.output_type.full_name)
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        make = channel.unary_stream if method.server_streaming else channel.unary_unary
        result = make(path, request_serializer=bytes, response_deserializer=answer.FromString)(
            b"", timeout=10
        )
        return list(result) if method.server_streaming else result


def test_every_public_method_reaches_its_service(edge: Edge, contract: Contract) -> None:
    public = by_path(contract, internal=False)
    assert len(public) > 15
    for path in public:
        call(edge, contract, path)
        package = path[1:].rpartition(".")[0]
        assert [seen.path for seen in edge.grpc[SERVED_BY[package]].calls] == [path]
        edge.grpc[SERVED_BY[package]].calls.clear()


def test_no_internal_method_has_a_route(edge: Edge, contract: Contract) -> None:
    internal = by_path(contract, internal=True)
    assert "/llmhub.auth.v1.AuthService/VerifyKey" in internal
    for path in internal:
        with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
            stub = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
            with pytest.raises(grpc.RpcError) as caught:
                stub(b"", timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED, path
    assert not [seen for backend in edge.grpc.values() for seen in backend.calls]


@pytest.mark.parametrize("sent", ["application/json", "text/plain", None])
def test_what_is_no_grpc_is_told_so(edge: Edge, client: httpx.Client, sent: str | None) -> None:
    path = "/llmhub.completion.v1.CompletionService/Generate"
    answer = client.post(path, content=b"{}", headers={"content-type": sent} if sent else {})
    assert answer.status_code == 415
    assert "gRPC" in answer.json()["message"]
    assert not [seen for backend in edge.grpc.values() for seen in backend.calls]


def test_every_rest_binding_reaches_its_method(
    edge: Edge, client: httpx.Client, contract: Contract, plan: EdgePlan
) -> None:
    bindings = [
        (method, verb, template)
        for method in public_methods(plan.descriptors)
        for verb, template in method.rest
    ]
    assert len(bindings) > 15
    for method, verb, template in bindings:
        path = template.replace("{model=**}", "openai/gpt-4o").replace("{key.key_id}", "abcdefabcdef")
        path = (
            path.replace("{key_id}", "abcdefabcdef").replace("{provider}", "sim").replace("{request_id}", "r")
        )
        answer = client.request(verb, path, json={} if verb in {"POST", "PATCH"} else None)
        assert answer.status_code == 200, (verb, path, answer.text)
        assert [seen.path for seen in edge.grpc[method.served_by].calls] == [method.path]
        edge.grpc[method.served_by].calls.clear()


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/openai%2Fgpt-4o"),
        ("POST", "/v1/messages"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/responses"),
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/v1/responses/resp_1/input_items?limit=2"),
        ("POST", "/v1/responses/input_tokens"),
        ("POST", "/v1/responses/compact"),
        ("POST", "/v1/moderations"),
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/audio/transcriptions"),
        ("POST", "/v1/rerank"),
        ("GET", "/v1beta/models"),
        ("GET", "/v1beta/models/openai/gpt-4o"),
        ("POST", "/v1beta/models/gemini-2.5-pro:generateContent"),
        ("POST", "/v1beta/models/openai/gpt-4o:streamGenerateContent?alt=sse"),
        ("POST", "/v1beta/models/openai%2Fgpt-4o:countTokens"),
        ("POST", "/v1/models/openai/gpt-4o:embedContent"),
        ("POST", "/v1/models/openai/gpt-4o:batchEmbedContents"),
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/health"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
    ],
)
def test_vendor_paths_and_health_reach_the_http_door(
    edge: Edge, client: httpx.Client, verb: str, path: str
) -> None:
    assert client.request(verb, path).status_code == 200
    assert [seen.path for seen in edge.http.calls] == [path]


def test_models_with_slashes_are_one_parameter(edge: Edge, client: httpx.Client) -> None:
    for path in ("/api/v1/models/openai/gpt-4o", "/api/v1/models/openai%2Fgpt-4o"):
        assert client.get(path).status_code == 200
        assert edge.grpc["router"].calls.pop().body.model == "openai/gpt-4o"


def test_health_checks_of_grpc_have_a_route(edge: Edge) -> None:
    health = "/grpc.health.v1.Health/Check"
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}") as channel:
        stub = channel.unary_unary(health, request_serializer=bytes, response_deserializer=bytes)
        with pytest.raises(grpc.RpcError) as caught:
            stub(b"", timeout=10)
    # The backend of this test has no health service and says so; the edge would have said more.
    assert caught.value.details() == "Method not found!"


def test_reflection_has_a_route_only_in_development(plan: EdgePlan) -> None:
    methods = public_methods(plan.descriptors)
    prefixes = {
        development: [route["match"].get("prefix", "") for route in virtual_host(made, methods)["routes"]]
        for development, made in ((False, plan), (True, replace(plan, reflection=True)))
    }
    assert not any("reflection" in prefix for prefix in prefixes[False])
    assert any("reflection" in prefix for prefix in prefixes[True])


def test_a_package_that_nobody_serves_stops_the_edge(monkeypatch: pytest.MonkeyPatch, plan: EdgePlan) -> None:
    monkeypatch.delitem(SERVED_BY, "llmhub.usage.v1")
    with pytest.raises(ContractIncomplete, match=r"llmhub\.usage\.v1"):
        public_methods(plan.descriptors)


def test_public_methods_know_their_path() -> None:
    assert PublicMethod("a.v1.S", "Do", "auth", ()).path == "/a.v1.S/Do"


def test_envoy_accepts_every_variant(plan: EdgePlan, folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    files = Tls(folder / "cert.pem", folder / "key.pem", folder / "cert.pem")
    remote = dict.fromkeys(plan.upstreams, ("worker-1.example:7001", "10.0.0.2:7001"))
    workers = {name: (f"unix:/tmp/{name}-0", f"unix:/tmp/{name}-1") for name in plan.upstreams}
    variants = {
        "tls": replace(plan, tls=Tls(files.cert, files.key)),
        "mesh": replace(plan, upstreams=remote, upstream_tls=files, reflection=True),
        "workers": replace(plan, upstreams=workers, cors_origins=("*",), access_log=None),
        "ipv6": replace(plan, host="::1", upstreams=dict.fromkeys(plan.upstreams, ("[::1]:7001",))),
    }
    for name, variant in variants.items():
        config = folder / f"{name}.yaml"
        config.write_text(to_yaml(render(variant)))
        done = subprocess.run(
            [envoy_process.binary(), "--mode", "validate", "-c", str(config), "--disable-hot-restart"],
            check=False, capture_output=True, text=True, env=envoy_process.environment(),
        )  # fmt: skip
        assert done.returncode == 0, f"{name}: {done.stderr[-1500:]}"


async def test_a_configuration_that_envoy_refuses_is_explained_in_one_line(
    plan: EdgePlan, folder: Path
) -> None:
    config = render(plan)
    config["static_resources"]["clusters"][0]["no_such_field"] = "x"
    file = folder / "broken.yaml"
    file.write_text(to_yaml(config))
    with pytest.raises(envoy_process.EdgeInvalid) as caught:
        await envoy_process.validate(file)
    assert "no_such_field" in str(caught.value)
    assert len(str(caught.value)) <= 500
    assert "\n" not in str(caught.value)
