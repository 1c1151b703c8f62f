"""What the person at the command line reads, word for word, and the exit codes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.mesh.cli import main

ROOT = Path(__file__).resolve().parents[3]


def llmhub(*arguments: str, folder: Path, **environ: str) -> tuple[int, str, str]:
    """Run the command in an empty folder; return exit code, standard output and standard error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMHUB_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.mesh", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen' / 'python'}", **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> pytest.CaptureFixture[str]:
    """An empty folder to be in, for commands that run in the test's own process."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LLMHUB_")]:
        monkeypatch.delenv(name)
    return capsys


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys\nfrom services.mesh.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'grpc', 'pydantic', 'yaml', 'sqlalchemy', 'asyncio'} & set(sys.modules)\n"
        "raise SystemExit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "{up,serve,config" in done.stdout or "up " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("serve", "gatway"), 2, ("llmhub: no service is called gatway; there are: auth, billing, providers, router, "
         "gateway, edge")),
        (("serve", "edge,auth"), 2, "llmhub: the edge is a process of its own: llmhub serve edge"),
        (("serve", "auth", "--only", "openai"), 2, "llmhub: --only names providers, so it goes with `serve providers`"),
        (("serve", "providers", "--only", "acme"), 2, "llmhub: no provider is called acme in the configuration"),
        (("up", "--workers", "-1"), 2, "llmhub: --workers must be 0 or more"),
        (("up", "--config", "no.yaml"), 1,
         "llmhub: no.yaml: cannot be read: No such file or directory; check the name and who may read it"),
        (("keys", "create", "--name", "n", "--scope", "root"), 2,
         "llmhub: no scope is called root; there are: inference, catalog_read, usage_read, keys_manage, admin"),
        (("keys", "create", "--name", "n", "--expires-in", "soon"), 2,
         "llmhub: 'soon' is no duration; write for example 12h, 30d or 4w"),
    ],
)  # fmt: skip
def test_mistakes_are_explained_in_one_line(
    empty: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    assert main(arguments) == code
    assert empty.readouterr() == ("", f"{said}\n")


@pytest.mark.parametrize("arguments", [(), ("keys",), ("config",)])
def test_usage_is_shown_where_a_command_is_missing(
    empty: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert main(arguments) == 2
    assert empty.readouterr().err.startswith("usage: llmhub")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, said = llmhub("up", "--port", str(port), folder=tmp_path)
    assert code == 2
    assert said == (
        f"llmhub: 127.0.0.1:{port}: address already in use; "
        "stop what is using it, or choose another port with --port N or LLMHUB_PORT\n"
    )


def test_config_check_lists_every_fault_and_counts_none_for_a_missing_key(tmp_path: Path) -> None:
    file = tmp_path / "llmhub.yaml"
    file.write_text("edge: {prot: 80}\nproviders:\n  a: {dialect: opnai}\n")
    code, _, said = llmhub("config", "check", "llmhub.yaml", folder=tmp_path)
    assert code == 1
    assert [line.split(": ")[0] for line in said.splitlines()] == ["llmhub", "llmhub.yaml:3"]
    assert "llmhub.yaml:1: edge.prot: unknown key; did you mean port?" in said
    file.write_text("providers:\n  a: {dialect: openai, api_key: '${NO_SUCH_KEY}'}\n")
    assert llmhub("config", "check", "llmhub.yaml", folder=tmp_path) == (
        0,
        (
            "llmhub.yaml: provider a: not configured: ${NO_SUCH_KEY} is not set\n"
            "llmhub.yaml: provider sim: configured\nllmhub.yaml: no faults\n"
        ),
        "",
    )


def test_keys_are_made_listed_and_ended_without_a_server(tmp_path: Path) -> None:
    code, text, said = llmhub(
        "keys", "create", "--name", "ci", "--scope", "usage_read", "--expires-in", "30d", folder=tmp_path
    )
    assert code == 0
    assert text.startswith("llmh_live_")
    key_id = said.split()[1]
    assert text.split("_")[2] == key_id
    _, listed, _ = llmhub("keys", "list", folder=tmp_path)
    header, row = listed.splitlines()
    assert header.split() == ["KEY_ID", "NAME", "SCOPES", "CREATED", "STATE"]
    assert row.split()[:3] == [key_id, "ci", "usage_read"]
    assert "until" in row
    assert text.strip() not in listed
    assert llmhub("keys", "revoke", key_id, folder=tmp_path)[0] == 0
    assert llmhub("keys", "list", folder=tmp_path)[1].splitlines()[1].endswith("revoked")
    code, _, said = llmhub("keys", "revoke", "abcdefabcdef", folder=tmp_path)
    assert code == 1
    assert said.startswith("llmhub: ")
    assert len(said.splitlines()) == 1
