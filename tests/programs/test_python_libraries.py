"""LangChain, pydantic-ai and LiteLLM, each with its own dialects and on models of others."""

from __future__ import annotations

import pytest

from tests.programs.conftest import Models
from tests.programs.model import SENTENCE
from tests.programs.visit import LITELLM, SECRET, Visit
from tests.programs.words.spoken import Call

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
GPT, QWEN, CLAUDE, GEMINI = (
    "openai/gpt-5.1",
    "local/qwen3-coder",
    "anthropic/claude-sonnet-4-5",
    "gemini/gemini-2.5-pro",
)

Changes = dict[str, str]


def changed(program: str, changes: Changes) -> str:
    """Return a recipe as the words below it say."""
    for before, after in changes.items():
        assert before in program
        program = program.replace(before, after)
    return program


class Case:
    """Runs recipes whose model calls their tool."""

    def __init__(self, visit: Visit, models: Models) -> None:
        self._visit = visit
        self._models = models

    def read_a_file(
        self, title: str, name: str, path: str, changes: Changes, *, stream: bool = False
    ) -> None:
        """Run a recipe."""
        model = self._models(name, Call("read_file", {"path": "secret.txt"}))
        program = changed(self._visit.recipe(title, name), changes)
        assert self._visit.python(program).strip() == SENTENCE
        assert SECRET in model.results[0]
        assert {asked.stream for asked in model.asked} == {stream}
        self._visit.check(model, path=path)


@pytest.fixture
def case(visit: Visit, scripted_model: Models) -> Case:
    return Case(visit, scripted_model)


@pytest.mark.parametrize("name", [QWEN, CLAUDE, GEMINI])
def test_langchain_openai(name: str, case: Case) -> None:
    case.read_a_file("LangChain", name, CHAT, {})


@pytest.mark.parametrize("name", [GPT, CLAUDE])
def test_langchain_responses(name: str, case: Case) -> None:
    changes = {"ChatOpenAI(\n": "ChatOpenAI(\n    use_responses_api=True,\n", ".content)": ".text)"}
    case.read_a_file("LangChain", name, RESPONSES, changes)


@pytest.mark.parametrize("name", [CLAUDE, QWEN, GEMINI])
def test_langchain_anthropic(name: str, case: Case) -> None:
    case.read_a_file("LangChain with Anthropic's words", name, MESSAGES, {}, stream=True)


@pytest.mark.parametrize("name", [QWEN, CLAUDE, GEMINI])
def test_pydantic_ai_openai(name: str, case: Case) -> None:
    case.read_a_file("pydantic-ai", name, CHAT, {})


@pytest.mark.parametrize("name", [QWEN, CLAUDE, GEMINI])
def test_pydantic_ai_openai_streams(name: str, case: Case) -> None:
    changes = {"run_sync": "run_stream_sync", ".output)": ".get_output())"}
    case.read_a_file("pydantic-ai", name, CHAT, changes, stream=True)


@pytest.mark.parametrize("name", [GPT, CLAUDE])
def test_pydantic_ai_responses(name: str, case: Case) -> None:
    case.read_a_file("pydantic-ai", name, RESPONSES, {"OpenAIChatModel": "OpenAIResponsesModel"})


def of(vendor: str, address: str) -> Changes:
    """Return what changes pydantic-ai's recipe into another vendor's."""
    return {
        "models.openai": f"models.{vendor.lower()}",
        "providers.openai": f"providers.{vendor.lower()}",
        "OpenAIChatModel": f"{vendor}Model",
        "OpenAIProvider": f"{vendor}Provider",
        f"{address}/v1": address,
    }


@pytest.mark.parametrize("name", [CLAUDE, QWEN])
def test_pydantic_ai_anthropic(name: str, case: Case, visit: Visit) -> None:
    changes = of("Anthropic", visit.mesh.base_url)
    case.read_a_file("pydantic-ai", name, MESSAGES, changes)


@pytest.mark.parametrize("name", [GEMINI, QWEN])
def test_pydantic_ai_gemini(name: str, case: Case, visit: Visit) -> None:
    changes = of("Google", visit.mesh.base_url)
    case.read_a_file("pydantic-ai", name, f"/v1beta/models/{name}:generateContent", changes)


LITELLM_LOOP = """
import json

tool = {"type": "function", "function": {"name": "read_file", "parameters": {
    "type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}}
messages = [{"role": "user", "content": "What does secret.txt say?"}]
common = {"model": MODEL, "api_base": BASE, "api_key": os.environ["LLMHUB_KEY"], "tools": [tool]}
first = litellm.completion(messages=messages, **common).choices[0].message
(call,) = first.tool_calls
content = open(json.loads(call.function.arguments)["path"]).read()
messages += [first.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": content}]
print(litellm.completion(messages=messages, **common).choices[0].message.content)
"""


def litellm_of(words: str, name: str, visit: Visit) -> tuple[str, str]:
    """Return what LiteLLM calls a model in these words, and its address."""
    address = visit.mesh.base_url
    return f"{words}/{name}", f"{address}/v1" if words == "openai" else address


@pytest.mark.parametrize("name", [QWEN, CLAUDE])
@pytest.mark.parametrize("words", ["openai", "anthropic"])
def test_litellm(words: str, name: str, visit: Visit, scripted_model: Models) -> None:
    model = scripted_model(name)
    named, address = litellm_of(words, name, visit)
    own, base = litellm_of("openai", name, visit)
    printed = visit.python(changed(visit.recipe("LiteLLM", name), {own: named, base: address}), LITELLM)

    assert printed.strip().endswith(SENTENCE)
    assert [asked.stream for asked in model.asked] == [True]
    visit.check(model, path=CHAT if words == "openai" else MESSAGES)


@pytest.mark.parametrize("name", [GEMINI, CLAUDE])
@pytest.mark.parametrize("words", ["openai", "anthropic"])
def test_litellm_with_a_tool(words: str, name: str, visit: Visit, scripted_model: Models) -> None:
    model = scripted_model(name, Call("read_file", {"path": "secret.txt"}))
    named, address = litellm_of(words, name, visit)
    imports = visit.recipe("LiteLLM", name).partition("stream =")[0]
    program = f"{imports}MODEL, BASE = {named!r}, {address!r}\n{LITELLM_LOOP}"

    assert visit.python(program, LITELLM).strip().endswith(SENTENCE)
    assert SECRET in model.results[0]
    assert [asked.stream for asked in model.asked] == [False, False]
    visit.check(model, path=CHAT if words == "openai" else MESSAGES)
