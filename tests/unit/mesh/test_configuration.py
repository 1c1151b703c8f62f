"""The configuration file: defaults, environment, what is not configured, and every fault with its place."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from services.mesh import loading, resolve
from services.mesh.config import Config
from services.mesh.places import Places
from services.mesh.shapes import all_in_one
from services.runtime.settings import ConfigError

KEY = "a-key-of-an-operator-with-more-than-32-letters"
DESIGN = """
edge: {host: 127.0.0.1, port: 8080}
data_dir: .llmhub
providers:
  openai:    {dialect: openai, base_url: https://api.openai.com/v1, api_key: ${OPENAI_API_KEY}}
  anthropic: {dialect: anthropic, base_url: https://api.anthropic.com, api_key: ${ANTHROPIC_API_KEY}}
  gemini:    {dialect: gemini, base_url: https://generativelanguage.googleapis.com, api_key: ${GEMINI_API_KEY}}
  ollama:    {dialect: openai, base_url: http://127.0.0.1:11434/v1}
models:
  fast: {targets: [openai/gpt-4o-mini, anthropic/claude-haiku-4-5], strategy: failover}
"""


def load(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "llmhub.yaml"
    file.write_text(text)
    return loading.load(file, environ, {})


def faults(folder: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **environ)
    return [str(fault).replace(str(folder), "") for fault in caught.value.faults]


def test_no_file_is_enough() -> None:
    config = loading.load(None, {}, {})
    assert (config.edge.host, config.edge.port) == ("127.0.0.1", 8080)
    assert list(resolve.providers_of(config)) == ["sim"]
    assert resolve.router_settings(config).providers["sim"].missing == ()


def test_the_environment_outweighs_the_file_and_the_command_line_both(tmp_path: Path) -> None:
    text = "edge: {port: 1000}\ndata_dir: from-file\n"
    environ = {"LLMHUB_PORT": "2000", "LLMHUB_DATA_DIR": "from-environment", "LLMHUB_BOOTSTRAP_KEY": KEY}
    config = load(tmp_path, text, **environ)
    assert (config.edge.port, config.data_dir) == (2000, Path("from-environment"))
    assert resolve.auth_settings(config, Places(tmp_path, tmp_path)).bootstrap_text == KEY
    file = tmp_path / "llmhub.yaml"
    assert loading.load(file, environ, {"port": 3000, "data_dir": "given"}).edge.port == 3000


def test_the_design_s_example_starts_without_any_key(tmp_path: Path) -> None:
    config = load(tmp_path, DESIGN)
    providers = resolve.router_settings(config).providers
    assert providers["openai"].missing == ("${OPENAI_API_KEY} is not set",)
    assert providers["gemini"].missing == ("${GEMINI_API_KEY} is not set",)
    assert providers["ollama"].missing == ()
    accounts = resolve.providers_settings(config).accounts
    assert accounts["openai"].api_key is None
    assert accounts["gemini"].missing
    assert resolve.router_settings(config).aliases["fast"].targets == (
        "openai/gpt-4o-mini",
        "anthropic/claude-haiku-4-5",
    )


def test_a_set_key_configures_a_provider(tmp_path: Path) -> None:
    config = load(tmp_path, DESIGN, OPENAI_API_KEY="sk-test")
    account = resolve.providers_settings(config).accounts["openai"]
    assert account.missing == ()
    assert account.api_key is not None
    assert account.api_key.get_secret_value() == "sk-test"


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        ("{}", ["sim"]),
        ("{a: {dialect: openai, api_key: '${UNSET}'}}", ["a", "sim"]),
        ("{a: {dialect: openai, base_url: 'http://x'}}", ["a"]),
        ("{a: {dialect: openai, base_url: 'http://x'}, mine: {dialect: sim}}", ["a", "mine"]),
    ],
)
def test_the_simulated_provider_is_there_when_no_other_can_be_used(
    tmp_path: Path, providers: str, expected: list[str]
) -> None:
    assert list(resolve.providers_of(load(tmp_path, f"providers: {providers}"))) == expected


def test_official_addresses_need_a_key_and_are_known(tmp_path: Path) -> None:
    config = load(tmp_path, "providers: {a: {dialect: anthropic}, o: {dialect: openai, api_key: k}}")
    providers = resolve.router_settings(config).providers
    assert providers["a"].missing == ("api_key",)
    assert providers["o"].base_url == "https://api.openai.com/v1"


def test_models_are_declared_under_the_provider_or_by_their_full_name(tmp_path: Path) -> None:
    text = """
providers:
  lab: {dialect: openai, base_url: "http://x", models: {small: {context_tokens: 4096}, plain: }}
models:
  lab/large: {context_tokens: 8192, modalities: [text, image]}
"""
    models = {
        model.name: model for model in resolve.router_settings(load(tmp_path, text)).providers["lab"].models
    }
    assert models["small"].context_tokens == 4096
    assert models["plain"].context_tokens is None
    assert models["large"].input_modalities == ("text", "image")


def test_a_provider_that_charges_on_is_said_to_the_router(tmp_path: Path) -> None:
    text = "providers: {lab: {dialect: openai, base_url: 'http://x', cancel_billing: continues}}"
    assert resolve.router_settings(load(tmp_path, text)).providers["lab"].bills_after_cancel


def test_prices_of_the_operator_reach_billing_and_the_simulation_is_free(tmp_path: Path) -> None:
    text = "billing: {prices: [{provider: sim, prices: {input: '1.5'}}]}"
    settings = resolve.billing_settings(load(tmp_path, text), Places(tmp_path, tmp_path))
    assert [override.free for override in settings.overrides] == [False, True]


def test_the_gateway_has_an_outbox_of_its_own_and_the_edge_s_limit(tmp_path: Path) -> None:
    config = load(tmp_path, "edge: {max_body_bytes: 2048}\ngateway: {max_attempts: 2}")
    places = Places(tmp_path, tmp_path)
    settings = resolve.gateway_settings(config, places, all_in_one(places).processes[0])
    assert settings.outbox == tmp_path / "outbox" / "worker-0" / "outbox.db"
    assert (settings.max_body_bytes, settings.max_attempts) == (2048, 2)


def test_every_fault_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    text = """
edge: {prot: 80}
providers:
  lab: {dialect: opnai}
  bad: {dialect: openai, base_url: ftp://x}
log: {level: loud}
"""
    found = faults(tmp_path, text)
    assert [line.split(": ")[:2] for line in found] == [
        ["/llmhub.yaml:2", "edge.prot"],
        ["/llmhub.yaml:4", "providers.lab.dialect"],
        ["/llmhub.yaml:6", "log.level"],
    ]
    assert "did you mean port?" in found[0]


def test_what_does_not_fit_together_has_its_place_too(tmp_path: Path) -> None:
    text = """
providers:
  openai: {dialect: openai, base_url: ftp://x}
models:
  fast: {targets: [opnai/gpt, gpt]}
  empty: {}
  openai/gpt: {targets: [openai/gpt]}
  nobody/gpt: {}
edge: {tls: {cert: no.pem, key: no.pem}}
"""
    assert faults(tmp_path, text) == [
        "/llmhub.yaml:5: models.fast.targets[0]: no provider is called opnai; did you mean openai?",
        "/llmhub.yaml:5: models.fast.targets[1]: 'gpt' is no target; write provider/model",
        "/llmhub.yaml:6: models.empty: an alias needs targets; add `targets: [provider/model]`",
        "/llmhub.yaml:7: models.openai/gpt.targets: only an alias has targets; choose a name without a slash",
        "/llmhub.yaml:8: models.nobody/gpt: no provider is called nobody; add it under providers",
        "/llmhub.yaml:3: providers.openai.base_url: is no HTTP address; begin it with http:// or https://",
        "/llmhub.yaml:9: edge.tls.cert: there is no file no.pem; check the path",
        "/llmhub.yaml:9: edge.tls.key: there is no file no.pem; check the path",
    ]


def test_words_that_would_never_match_are_faults(tmp_path: Path) -> None:
    text = """
providers:
  lab: {dialect: openai, base_url: "http://x", models: {m: {capabilities: [toools]}, n: }}
models:
  lab/k: {modalities: [text, txt]}
"""
    found = faults(tmp_path, text)
    assert [line.partition("; ")[0] for line in found] == [
        "/llmhub.yaml:5: models.lab/k.modalities[1]: 'txt' is not known",
        "/llmhub.yaml:3: providers.lab.models.m.capabilities[0]: 'toools' is not known",
    ]
    assert "tools" in found[1]


def test_a_database_is_refused_before_anything_starts(tmp_path: Path) -> None:
    assert faults(tmp_path, "database: mysql://user:s3cret@host/name") == [
        "/llmhub.yaml:1: database: is no address of a database; begin it with postgresql+psycopg://"
    ]
    if find_spec("psycopg") is None:
        (found,) = faults(tmp_path, "database: postgresql+psycopg://user:s3cret@host/name")
        assert found.startswith("/llmhub.yaml:1: database: the driver is not installed")
        assert "s3cret" not in found


def test_secrets_are_in_no_fault_and_in_no_representation(tmp_path: Path) -> None:
    text = "providers: {a: {dialect: openai, api_key: [s3cret]}}\nauth: {bootstrap_key: s3cret-but-short}"
    assert "s3cret" not in "".join(faults(tmp_path, text))
    config = load(tmp_path, "providers: {a: {dialect: openai, api_key: s3cret, headers: {x: s3cret}}}")
    assert "s3cret" not in repr(config)
    assert "s3cret" not in repr(resolve.providers_settings(config))
