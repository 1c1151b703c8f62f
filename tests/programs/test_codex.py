"""Codex CLI runs commands with models of every dialect."""

from __future__ import annotations

import pytest

from tests.programs.conftest import Models
from tests.programs.model import SENTENCE
from tests.programs.visit import SECRET, Visit
from tests.programs.words.spoken import Call

MODELS = (
    "openai/gpt-5.1",
    "local/qwen3-coder",
    "anthropic/claude-sonnet-4-5",
    "gemini/gemini-2.5-pro",
)
ASK = (
    "codex exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox"
    ' "Read secret.txt and write answer.txt"'
)


@pytest.mark.parametrize("name", MODELS)
def test_it_runs_commands(name: str, visit: Visit, scripted_model: Models) -> None:
    model = scripted_model(
        name,
        Call("exec_command", {"cmd": "cat secret.txt"}),
        Call("exec_command", {"cmd": "echo heron-42 > answer.txt"}),
    )
    printed = visit.shell(visit.recipe("Codex CLI", name), ASK)

    assert printed.strip() == SENTENCE
    assert (visit.work / "answer.txt").read_text() == "heron-42\n"
    assert SECRET in model.results[0]
    assert "exited with code 0" in model.results[1]
    assert all(asked.stream for asked in model.asked)
    visit.check(model, path="/v1/responses")


def test_it_patches_files_with_a_model_that_it_takes_for_its_own(
    visit: Visit, scripted_model: Models
) -> None:
    patch = "*** Begin Patch\n*** Add File: answer.txt\n+heron-42\n*** End Patch\n"
    # A free-text tool, for which a function stands where there are none.
    call = Call("apply_patch__llmhub_text", {"input": patch})
    model = scripted_model("anthropic/claude-sonnet-4-5", call)
    printed = visit.shell(visit.recipe("Codex CLI", "gpt-5.5"), ASK)

    assert printed.strip() == SENTENCE
    assert (visit.work / "answer.txt").read_text() == "heron-42\n"
    assert "Success" in model.results[0]
    for asked in model.asked:
        assert asked.body["max_tokens"] == 32_000
        assert "effort" not in asked.body.get("output_config", {})
    visit.check(model, path="/v1/responses")
