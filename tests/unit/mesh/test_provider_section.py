"""What the file says of providers: each dialect's keys, what is missing, and where calls go."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.mesh import loading, resolve
from services.providers.settings import Account
from services.runtime.settings import ConfigError


def accounts(tmp_path: Path, text: str, **environ: str) -> dict[str, Account]:
    file = tmp_path / "llmhub.yaml"
    file.write_text(f"providers:\n{text}")
    return resolve.providers_settings(loading.load(file, environ, {})).accounts


def faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        accounts(tmp_path, text)
    return [str(fault).removeprefix(str(tmp_path)) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        ("{dialect: openai-responses}", ("api_key",)),
        ("{dialect: gemini, api_key: k}", ()),
        ("{dialect: gemini}", ("api_key",)),
        ("{dialect: gemini, base_url: 'http://x'}", ()),
        ("{dialect: cohere}", ("api_key",)),
        ("{dialect: ollama}", ()),
        ("{dialect: azure-openai, api_key: k}", ("base_url",)),
        ("{dialect: azure-openai, base_url: 'http://x'}", ("api_key or entra",)),
        ("{dialect: azure-openai, base_url: 'http://x', access_token: t}", ()),
        ("{dialect: vertex}", ("project", "credentials_file or access_token")),
        ("{dialect: vertex, project: p, credentials_file: key.json}", ()),
        ("{dialect: vertex, project: p, access_token: '${TOKEN}'}", ("${TOKEN} is not set",)),
        ("{dialect: bedrock}", ("region",)),
        ("{dialect: bedrock, region: eu-west-1}", ()),
        ("{dialect: bedrock, region: eu-west-1, access_key_id: a}", ("secret_access_key",)),
        ("{dialect: bedrock, region: r, access_key_id: '${A}', secret_access_key: '${S}'}",
         ("${A} is not set", "${S} is not set")),
    ],
)  # fmt: skip
def test_a_provider_that_lacks_something_says_what(
    tmp_path: Path, provider: str, missing: tuple[str, ...]
) -> None:
    account = accounts(tmp_path, f"  a: {provider}")["a"]
    assert set(account.missing) == set(missing)


def test_an_unset_part_of_a_section_is_missing_too_and_no_secret_goes_along(tmp_path: Path) -> None:
    text = """
  azure:
    dialect: azure-openai
    base_url: http://x
    api_key: s3cret
    entra: {tenant_id: t, client_id: c, client_secret: "${SECRET}"}
"""
    account = accounts(tmp_path, text)["azure"]
    assert account.missing == ("${SECRET} is not set",)
    assert account.api_key is None
    assert account.azure.entra is None
    given = accounts(tmp_path, text, SECRET="s3cret")["azure"]
    assert given.azure.entra is not None
    assert given.azure.entra.client_secret.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(given)


@pytest.mark.parametrize(
    ("provider", "base_url"),
    [
        ("{dialect: openai-responses, api_key: k}", "https://api.openai.com/v1"),
        ("{dialect: gemini, api_key: k}", "https://generativelanguage.googleapis.com"),
        ("{dialect: cohere, api_key: k}", "https://api.cohere.com"),
        ("{dialect: ollama}", "http://127.0.0.1:11434"),
        ("{dialect: vertex, project: p, access_token: t}", "https://aiplatform.googleapis.com"),
        ("{dialect: vertex, project: p, access_token: t, location: europe-west4}",
         "https://europe-west4-aiplatform.googleapis.com"),
        ("{dialect: vertex, project: p, access_token: t, location: eu}",
         "https://aiplatform.eu.rep.googleapis.com"),
        ("{dialect: bedrock, region: us-east-1}", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("{dialect: bedrock, region: cn-north-1}", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ("{dialect: bedrock, region: us-east-1, base_url: 'http://127.0.0.1:1/aws'}", "http://127.0.0.1:1/aws"),
    ],
)  # fmt: skip
def test_every_dialect_knows_its_vendors_address(tmp_path: Path, provider: str, base_url: str) -> None:
    assert accounts(tmp_path, f"  a: {provider}")["a"].base_url == base_url


def test_keys_of_another_dialect_are_faults_with_their_place(tmp_path: Path) -> None:
    text = """  a:
    dialect: openai
    api_key: k
    region: eu-west-1
  b: {dialect: bedrock, region: r, responses: true}
  c: {dialect: anthropic, api_key: k, options: {x: 1}}
"""
    assert faults(tmp_path, text) == [
        "/llmhub.yaml:5: providers.a.region: is a key of bedrock, not of openai; remove it",
        "/llmhub.yaml:6: providers.b.responses: is a key of openai, not of bedrock; remove it",
        "/llmhub.yaml:7: providers.c.options: is a key of plug-ins, not of anthropic; remove it",
    ]


def test_names_that_nobody_knows_are_faults(tmp_path: Path) -> None:
    found = faults(
        tmp_path, "  a: {dialect: opnai}\n  b: {dialect: openai, base_url: 'http://x', profile: grok}\n"
    )
    assert found[0].startswith("/llmhub.yaml:2: providers.a.dialect: should be one of openai, ")
    assert "plug-in" in found[0]
    assert found[1].startswith("/llmhub.yaml:3: providers.b.profile: should be one of azure, ")


def test_the_router_is_told_what_decides_about_relaying(tmp_path: Path) -> None:
    file = tmp_path / "llmhub.yaml"
    file.write_text(
        "providers: {a: {dialect: openai, base_url: 'http://x', profile: groq, responses: false}}"
    )
    routed = resolve.router_settings(loading.load(file, {}, {})).providers["a"]
    assert (routed.profile, routed.responses) == ("groq", False)
