"""OpenAI's dialect on Azure: paths by version, the key, and tokens of Entra."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Iterator

import pytest

from llmhub.provider.v1.provider_service_pb2 import Endpoint
from services.providers.settings import Azure, Entra, ProvidersSettings
from services.runtime.errors import UpstreamAuthFailed, UpstreamFailed
from tests.support import faults
from tests.support.journal import Arrival
from tests.support.platforms import CHAT, adapter_for, asked, hosted, relayed, secret
from tests.support.replay import Replay, anyone

DATED = Azure(api_version="2024-10-21")
BODY = b'{"model":"azure/gpt","input":"hi"}'
SETTINGS = ProvidersSettings()


def by_key(seen: Arrival) -> Iterable[str]:
    if seen.headers.get("api-key") != "azure-secret" or "authorization" in seen.headers:
        yield "the credential is not the configured one"


def by_token(seen: Arrival) -> Iterable[str]:
    if not seen.headers.get("authorization", "").startswith("Bearer token-") or "api-key" in seen.headers:
        yield "the token is not the one that was given"


@pytest.fixture
def azure() -> Iterator[Replay]:
    with Replay() as server:
        server.expect("azure", by_key)
        server.answer("azure", "gpt", faults.answer(200, CHAT))
        yield server
    assert not [fault for fault in server.faults if not fault.startswith("POST /login/")]


@pytest.mark.parametrize(
    ("settings", "suffix", "target"),
    [
        (DATED, "", "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"),
        (DATED, "/openai/", "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"),
        (Azure(), "", "/openai/v1/chat/completions"),
        (Azure(), "/openai/v1", "/openai/v1/chat/completions"),
        (Azure(api_version="preview"), "", "/openai/v1/chat/completions?api-version=preview"),
        (Azure(api_version="2024-05-01-preview"), "/models",
         "/models/chat/completions?api-version=2024-05-01-preview"),
    ],
)  # fmt: skip
async def test_paths_follow_the_version(azure: Replay, settings: Azure, suffix: str, target: str) -> None:
    account = hosted(azure, "azure", "azure-openai", suffix, api_key=secret("azure-secret"), azure=settings)
    async with adapter_for(account, SETTINGS) as adapter:
        answer = await asked(adapter, "azure", "gpt")
    assert answer.candidates[0].parts[0].text == "hi"
    (seen,) = azure.journal.since()
    assert f"{seen.path}?{seen.query}".rstrip("?") == target


async def test_a_deployments_name_cannot_leave_its_segment(azure: Replay) -> None:
    azure.answer("azure", "../../x y", faults.answer(200, CHAT))
    account = hosted(azure, "azure", "azure-openai", api_key=secret("azure-secret"), azure=DATED)
    async with adapter_for(account, SETTINGS) as adapter:
        await asked(adapter, "azure", "../../x y")
    (seen,) = azure.journal.since()
    assert seen.path == "/openai/deployments/..%2F..%2Fx%20y/chat/completions"


async def test_a_deployment_named_like_the_way_up_is_only_a_name(azure: Replay) -> None:
    azure.answer("azure", "..", faults.answer(200, CHAT))
    account = hosted(azure, "azure", "azure-openai", api_key=secret("azure-secret"), azure=DATED)
    async with adapter_for(account, SETTINGS) as adapter:
        await asked(adapter, "azure", "..")
    (seen,) = azure.journal.since()
    assert seen.path == "/openai/deployments/%2E%2E/chat/completions"


async def test_responses_and_lists_belong_to_no_deployment(azure: Replay) -> None:
    azure.answer("azure", "", faults.answer(200, {"data": [{"id": "gpt-5"}]}))
    azure.answer("azure", "gpt", faults.answer(404, {"error": {"code": "404", "message": "no"}}))
    account = hosted(azure, "azure", "azure-openai", api_key=secret("azure-secret"), azure=DATED)
    async with adapter_for(account, SETTINGS) as adapter:
        assert await adapter.models() == ["gpt-5"]
        (refused,) = await relayed(adapter, "azure", "gpt", Endpoint.ENDPOINT_OPENAI_RESPONSES, BODY)
    assert refused.head.status == 404
    assert [seen.path for seen in azure.journal.since()] == ["/openai/models", "/openai/responses"]
    assert azure.journal.since()[1].json["model"] == "gpt"


def entra(azure: Replay) -> Azure:
    return Azure(
        entra=Entra(
            tenant_id="tenant",
            client_id="client",
            client_secret=secret("entra-secret"),
            authority=f"http://127.0.0.1:{azure.port}/login",
        )
    )


async def test_a_token_is_got_once_and_sent_with_every_call(azure: Replay) -> None:
    azure.expect("azure", by_token)
    azure.expect("login", anyone)
    azure.answer("login", "", faults.answer(200, {"access_token": "token-1", "expires_in": "3599"}))
    account = hosted(azure, "azure", "azure-openai", azure=entra(azure))
    async with adapter_for(account, SETTINGS) as adapter:
        await asked(adapter, "azure", "gpt")
        await asked(adapter, "azure", "gpt")
    login, *calls = azure.journal.since()
    assert login.path == "/tenant/oauth2/v2.0/token"
    assert dict(urllib.parse.parse_qsl(login.body.decode())) == {
        "grant_type": "client_credentials",
        "client_id": "client",
        "client_secret": "entra-secret",
        "scope": "https://cognitiveservices.azure.com/.default",
    }
    assert [call.headers["authorization"] for call in calls] == ["Bearer token-1"] * 2


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (401, {"error": "invalid_client", "error_description": "entra-secret is wrong"}, UpstreamAuthFailed,
         "invalid_client"),
        (200, {"token_type": "Bearer"}, UpstreamAuthFailed, "status 200"),
        (503, b"<html>busy</html>", UpstreamFailed, "503"),
    ],
)  # fmt: skip
async def test_a_refused_secret_says_so_and_tells_no_secret(
    azure: Replay, status: int, body: bytes | dict[str, str], error: type[Exception], words: str
) -> None:
    azure.expect("login", anyone)
    azure.answer("login", "", faults.answer(status, body))
    account = hosted(azure, "azure", "azure-openai", azure=entra(azure))
    async with adapter_for(account, SETTINGS) as adapter:
        with pytest.raises(error, match=words) as refused:
            await asked(adapter, "azure", "gpt")
    assert "entra-secret" not in str(refused.value)
    assert [seen.provider for seen in azure.journal.since()] == ["login"]
