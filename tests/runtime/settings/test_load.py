"""A configuration is right, or every fault in it is told with its place and what to do."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.runtime.settings import ConfigError, load

SECRET = "canary-91ab"
NO_TEXT = "input should be a valid string; write a text, in quotes if it looks like a number"
NO_INT = "input should be a valid integer, unable to parse string as an integer"
NO_BOOL = "input should be a valid boolean, unable to interpret input"
NO_DICT = "input should be a valid dictionary"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Edge(Section):
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=1, le=65535)
    max_body_bytes: int = 0


class Provider(Section):
    dialect: Literal["openai", "anthropic"]
    base_url: str = ""
    api_key: SecretStr | None = None
    headers: dict[str, SecretStr] = {}


class Model(Section):
    targets: tuple[str, ...] | None = None
    known: tuple[str, ...] | dict[str, Edge | None] = ()


class Auth(Section):
    bootstrap_key: SecretStr | None = None


class Config(Section):
    edge: Edge = Edge()
    data_dir: Path = Path(".llmhub")
    providers: dict[str, Provider] = {}
    models: dict[str, Model] = {}
    auth: Auth = Auth()
    development: bool = False


def config(folder: Path, text: str, name: str = "c.yaml", **environ: str) -> Config:
    file = folder / name
    file.write_text(text)
    return load(file, Config, environ)


def faults(folder: Path, text: str, name: str = "c.yaml", **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config(folder, text, name, **environ)
    assert str(caught.value) == "\n".join(map(str, caught.value.faults))
    return [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]


def test_the_example_of_the_manual(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        """
edge: {host: 127.0.0.1, port: 8080}
data_dir: .llmhub                      # a comment with ${NOTHING}
providers:
  openai:    {dialect: openai, base_url: https://api.openai.com/v1, api_key: ${OPENAI_API_KEY}}
  anthropic: {dialect: anthropic, base_url: "https://x/${REGION:-eu}", api_key: ${ANTHROPIC_API_KEY}}
models:
  fast: {targets: [openai/gpt-4o-mini, anthropic/claude-haiku-4-5]}
""",
        OPENAI_API_KEY="sk: #{}, [",
    )
    openai, anthropic = found.providers["openai"], found.providers["anthropic"]
    assert openai.api_key == SecretStr("sk: #{}, [")
    assert anthropic.base_url == "https://x/eu"
    assert anthropic.api_key == SecretStr("${ANTHROPIC_API_KEY}")
    assert found.models["fast"].targets == ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5")


def test_all_faults_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """\
edge:
  prot: 8080
  port: 70000
providers:
  openai:
    dialect: opena
    api_key: 5
    headers: {x: [1]}
  acme: {}
models:
  fast:
    targets: [a, b, 5]
    known: 7
edge:
  port: 1
data_dir: ${HERE}/x
developement: true
"""
    assert faults(tmp_path, text) == [
        "c.yaml:2: edge.prot: unknown key; did you mean port?",
        "c.yaml:3: edge.port: input should be less than or equal to 65535; choose another value",
        "c.yaml:6: providers.openai.dialect: input should be 'openai' or 'anthropic'; correct the value",
        f"c.yaml:7: providers.openai.api_key: {NO_TEXT}",
        f"c.yaml:8: providers.openai.headers.x: {NO_TEXT}",
        "c.yaml:9: providers.acme.dialect: is missing; add it",
        f"c.yaml:12: models.fast.targets[2]: {NO_TEXT}",
        f"c.yaml:13: models.fast.known: input should be a valid tuple, or {NO_DICT}; write a list",
        "c.yaml:14: edge: is given twice, first on line 1; keep one of them",
        "c.yaml:16: data_dir: the variable HERE is not set; export HERE, or write ${HERE:-default}",
        "c.yaml:17: developement: unknown key; did you mean development?",
    ]


def test_known_keys_are_listed_where_none_is_near(tmp_path: Path) -> None:
    assert faults(tmp_path, "models: {fast: {known: {a: {zzz: 1}}, qqq: 1}}") == [
        "c.yaml:1: models.fast.known.a.zzz: unknown key; known here: host, max_body_bytes, port",
        "c.yaml:1: models.fast.qqq: unknown key; known here: known, targets",
    ]


def test_the_same_in_toml(tmp_path: Path) -> None:
    text = '''\
data_dir = "${WHERE:-here}"
[edge]
prot = 1
[providers.openai]
dialect = "openai"
base_url = """
[not.a.table]
"""
api_key = "${KEY}"
[models."a.b"]
targets = ["x",
  5]
[[nonsense]]
'''
    assert faults(tmp_path, text, "c.toml") == [
        "c.toml:3: edge.prot: unknown key; did you mean port?",
        f"c.toml:11: models.a.b.targets[1]: {NO_TEXT}",
        "c.toml:13: nonsense: unknown key; known here: auth, data_dir, development, edge, models, providers",
    ]
    good = config(tmp_path, text.partition('[models."a.b"]')[0].replace("prot", "port"), "c.toml", KEY="k")
    assert (good.edge.port, str(good.data_dir)) == (1, "here")
    assert good.providers["openai"].api_key == SecretStr("k")


@pytest.mark.parametrize(
    ("name", "text", "start"),
    [
        ("c.yaml", "a: [1\nb: 2\n", "c.yaml:2: is not valid YAML: "),
        ("c.yaml", "a: {b: ${C}", "c.yaml:2: is not valid YAML: "),
        ("c.yaml", "\ta: 1", "c.yaml:1: is not valid YAML: "),
        ("c.yaml", "- 1", "c.yaml:1: has no keys; "),
        ("c.yaml", "a: !!python/object:os.system x", "c.yaml:1: is not valid YAML: "),
        ("c.yaml", "? [1]\n: 2", "c.yaml:1: a key is not a text; "),
        ("c.toml", "a = \n", "c.toml:1: is not valid TOML: "),
        ("c.toml", "[a]\nb = 1\nb = 2\n", "c.toml:3: is not valid TOML: "),
    ],
)
def test_a_file_that_cannot_be_parsed(tmp_path: Path, name: str, text: str, start: str) -> None:
    assert faults(tmp_path, text, name)[0].startswith(start)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.yaml", Config, {})
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "c.yaml", Config, {})


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "YAML" in faults(tmp_path, "l0: &l0 [1]\n" + "\n".join(levels))[0]
    assert "YAML" in faults(tmp_path, "edge: &x\n  port: *x\n")[0]


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        "providers:\n  a: &a {dialect: openai, base_url: u}\n  b: {<<: *a, base_url: v}\n  c: *a\n",
    )
    assert [found.providers[name].base_url for name in "abc"] == ["u", "v", "u"]


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    found = config(
        tmp_path,
        "edge: {port: 1}\nproviders: {my-openai: {dialect: openai, base_url: u}}\nmodels:\n",
        LLMHUB_EDGE__PORT="2",
        LLMHUB_PROVIDERS__MY_OPENAI__BASE_URL="v",
        LLMHUB_MODELS__FAST__TARGETS="[a, b]",
        LLMHUB_DEVELOPMENT="true",
        LLMHUB_KILLS="5",
        LLMHUB_EDGE__HOST="",
        UNRELATED="x",
    )
    assert (found.edge.port, found.edge.host, found.development) == (2, "127.0.0.1", True)
    assert found.providers["my-openai"].base_url == "v"
    assert found.models["fast"].targets == ("a", "b")


def test_special_names(tmp_path: Path) -> None:
    found = load(None, Config, {"LLMHUB_PORT": "9", "LLMHUB_BOOTSTRAP_KEY": SECRET, "LLMHUB_DATA_DIR": "d"})
    assert (found.edge.port, found.auth.bootstrap_key, str(found.data_dir)) == (9, SecretStr(SECRET), "d")


def test_faults_of_the_environment_name_the_variable(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        "edge: {port: 1}",
        LLMHUB_PORT="x",
        LLMHUB_EDGE__HSOT="h",
        LLMHUB_MODELS__FAST="[1]",
        LLMHUB_DATA_DIR__X="1",
        LLMHUB_EDGE____PORT="1",
        LLMHUB_DEVELOPMENT="perhaps",
    )
    assert [found[0], *sorted(found[1:])] == [
        "environment: LLMHUB_EDGE____PORT: a part of the name is empty or no section; check the name",
        "environment: LLMHUB_DATA_DIR__X: input is not a valid path for <class 'pathlib.Path'>; correct the value",
        f"environment: LLMHUB_DEVELOPMENT: {NO_BOOL}; write true or false",
        "environment: LLMHUB_EDGE__HSOT: unknown key; did you mean host?",
        f"environment: LLMHUB_MODELS__FAST: {NO_DICT} or instance of Model; write `key: value` lines below it",
        f"environment: LLMHUB_PORT: {NO_INT}; write a whole number",
    ]


def test_variables(tmp_path: Path) -> None:
    text = 'data_dir: "$${A} ${A} ${B:-b} ${C:-c}${D:-}"\n'
    text += "providers: {p: {dialect: openai, base_url: ${A}, api_key: ${C}}}"
    found = config(tmp_path, text, A="${B}", C="")
    # What a variable holds is not looked into again.
    assert str(found.data_dir) == "${A} ${B} b c"
    assert found.providers["p"].base_url == "${B}"
    assert found.providers["p"].api_key == SecretStr("${C}")


def test_no_fault_shows_a_value(tmp_path: Path) -> None:
    text = f"""\
edge: {{port: {SECRET}, host: [{SECRET}]}}
providers:
  p: {{dialect: {SECRET}, api_key: [{SECRET}], headers: {SECRET}}}
auth: {SECRET}
models: {{m: {{targets: {SECRET}, known: {SECRET}}}}}
"""
    found = faults(tmp_path, text, LLMHUB_DEVELOPMENT=SECRET)
    assert len(found) == 9
    assert SECRET not in "".join(found)


@given(
    st.dictionaries(
        st.text(max_size=10), st.text(max_size=10) | st.integers() | st.lists(st.text(), max_size=3)
    )
)
def test_nothing_but_faults_comes_out_of_any_file(values: Any) -> None:
    import tempfile

    import yaml

    with tempfile.TemporaryDirectory() as folder:
        for text in (yaml.safe_dump(values), repr(values)):
            with suppress(ConfigError):
                config(Path(folder), text)
