"""llm calls functions with models of every dialect, streaming and not."""

from __future__ import annotations

import pytest

from tests.programs.conftest import Models
from tests.programs.model import SENTENCE
from tests.programs.visit import SECRET, Visit
from tests.programs.words.spoken import Call

FUNCTION = """\
def read_file(path: str) -> str:
    "Read a text file."
    return open(path).read()
"""


@pytest.mark.parametrize("option", ["", "--no-stream"], ids=["stream", "whole"])
@pytest.mark.parametrize(
    "name", ["local/qwen3-coder", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-pro"]
)
def test_it_calls_functions(name: str, option: str, visit: Visit, scripted_model: Models) -> None:
    model = scripted_model(name, Call("read_file", {"path": "secret.txt"}))
    (visit.home / "functions.py").write_text(FUNCTION)
    ask = f'llm -m hub {option} --functions ~/functions.py "What does secret.txt say?"'
    printed = visit.shell(visit.recipe("llm", name), ask)

    assert printed.strip() == SENTENCE
    assert SECRET in model.results[0]
    assert {asked.stream for asked in model.asked} == {not option}
    visit.check(model, path="/v1/chat/completions")
