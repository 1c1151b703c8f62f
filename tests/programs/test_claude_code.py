"""Claude Code reads and writes files with models of every dialect."""

from __future__ import annotations

import pytest

from tests.programs.conftest import Models
from tests.programs.model import SENTENCE
from tests.programs.visit import SECRET, Visit
from tests.programs.words.spoken import Call

MODELS = (
    "anthropic/claude-sonnet-4-5",
    "openai/gpt-5.1",
    "local/qwen3-coder",
    "gemini/gemini-2.5-pro",
)
ASK = 'claude -p "Read secret.txt and write answer.txt" --permission-mode acceptEdits'


@pytest.mark.parametrize("name", MODELS)
def test_it_reads_and_writes_files(name: str, visit: Visit, scripted_model: Models) -> None:
    answer = visit.work / "answer.txt"
    model = scripted_model(
        name,
        Call("Read", {"file_path": str(visit.work / "secret.txt")}),
        Call("Write", {"file_path": str(answer), "content": "heron-42\n"}),
    )
    printed = visit.shell(visit.recipe("Claude Code", name), ASK)

    assert printed.strip() == SENTENCE
    assert answer.read_text() == "heron-42\n"
    assert SECRET in model.results[0]
    assert "created successfully" in model.results[1]
    assert all(asked.stream for asked in model.asked)
    visit.check(model, path="/v1/messages")


def test_it_searches_for_tools_with_a_model_that_it_takes_for_its_own(
    visit: Visit, scripted_model: Models
) -> None:
    model = scripted_model(
        "local/qwen3-coder",
        Call("ToolSearch", {"query": "select:WebFetch,NotebookEdit", "max_results": 5}),
        Call("Read", {"file_path": str(visit.work / "secret.txt")}),
    )
    printed = visit.shell(visit.recipe("Claude Code", "claude-opus-4-8"), ASK)

    assert printed.strip() == SENTENCE
    assert "WebFetch" in model.results[0]
    assert SECRET in model.results[1]
    assert "WebFetch" not in model.asked[0].tools
    assert "WebFetch" in model.asked[1].tools
    # Its user id is longer than OpenAI's words allow.
    assert {len(asked.body["user"]) for asked in model.asked} == {64}
    visit.check(model, path="/v1/messages")


def test_an_older_name_keeps_instructions_at_the_beginning(visit: Visit, scripted_model: Models) -> None:
    read = Call("Read", {"file_path": str(visit.work / "secret.txt")})
    model = scripted_model("local/qwen3-coder", read)
    assert visit.shell(visit.recipe("Claude Code", "claude-sonnet-4-5"), ASK).strip() == SENTENCE
    assert SECRET in model.results[0]
    for asked in model.asked:
        roles = [message["role"] for message in asked.body["messages"]]
        assert roles.count("system") == 1
        assert roles[0] == "system"
    visit.check(model, path="/v1/messages")
