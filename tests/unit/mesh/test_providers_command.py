"""`llmhub providers`: what it says, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.mesh.cli import main
from tests.support import faults
from tests.support.platforms import CHAT
from tests.support.replay import Replay, upstream_key


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **providers: object) -> None:
    # JSON is YAML.
    (folder / "llmhub.yaml").write_text(json.dumps({"providers": providers}))


def test_a_list_says_what_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        folder,
        aws={"dialect": "bedrock", "region": "${NO_SUCH_REGION}"},
        local={"dialect": "ollama"},
    )
    assert main(["providers", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NAME   DIALECT  STATE",
        "aws    bedrock  not configured: ${NO_SUCH_REGION} is not set",
        "local  ollama   configured",
    ]
    assert not (folder / ".llmhub").exists()


def test_without_a_provider_the_simulator_is_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "test", "sim", "--model", "echo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["configuration", "ok"], ["models", "ok"], ["call", "ok"]]


def test_the_first_model_of_the_file_is_called(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Replay() as replay:
        replay.answer("lab", "", faults.answer(200, {"data": [{"id": "m"}]}))
        replay.answer("lab", "m", faults.answer(200, CHAT))
        lab = {
            "dialect": "openai",
            "base_url": replay.base_url("lab"),
            "api_key": upstream_key("lab"),
            "models": ["m", "n"],
        }
        write(folder, lab=lab)
        assert main(["providers", "test", "lab"]) == 0
        assert "call           ok       m answered; tokens: 8 in, 1 out" in capsys.readouterr().out
        assert not replay.faults
        replay.answer(
            "lab", "m", faults.answer(404, {"error": {"message": "gone", "code": "model_not_found"}})
        )
        assert main(["providers", "test", "lab"]) == 1
        assert "call           FAILED" in capsys.readouterr().out


def test_what_is_not_configured_fails_and_what_nobody_knows_is_misuse(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, a={"dialect": "gemini", "api_key": "${NO_SUCH_KEY}"})
    assert main(["providers", "test", "a"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "configuration  FAILED   missing: ${NO_SUCH_KEY} is not set",
        "models         skipped  the provider is not configured",
        "call           skipped  the provider is not configured",
    ]
    assert main(["providers", "test", "b"]) == 2
    assert "there are: a, sim" in capsys.readouterr().err
