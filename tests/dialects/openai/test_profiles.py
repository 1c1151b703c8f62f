"""How compatible servers depart from OpenAI: each peculiarity with the recording or the research that shows it.

`recorded` tests read the peculiarity off the traffic itself, so a profile that says otherwise is seen to be wrong.
"""

import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.provider.v1.provider_service_pb2 import ENDPOINT_OPENAI_CHAT
from services.dialects.openai import PROFILES, OpenAICodec, profile_for
from tests.support.exchanges import named
from tests.support.recordings import frames

ASK: dict[str, Any] = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}


def written(
    profile: str, model: str = "m", *, stream: bool = False, **members: Any
) -> tuple[dict[str, Any], list[str]]:
    asked = ParseDict({"model": "x", "messages": [ASK], **members}, GenerateRequest())
    wire = OpenAICodec(PROFILES[profile]).encode_request(asked, model, stream=stream)
    body: dict[str, Any] = json.loads(wire.body)
    return body, [warning.field for warning in wire.warnings]


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://acme.openai.azure.com/openai/v1", "azure"),
        ("https://acme.services.ai.azure.com/models", "azure"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.x.ai/v1", "xai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.together.xyz/v1", "together"),
        ("https://api.together.ai/v1", "together"),
        ("https://api.perplexity.ai", "perplexity"),
        ("https://api.cerebras.ai/v1", "cerebras"),
        ("https://router.huggingface.co/v1", "huggingface"),
        ("https://acme.snowflakecomputing.com/api/v2/cortex/v1", "snowflake"),
        ("https://api.z.ai/api/paas/v4", "zai"),
        ("https://open.bigmodel.cn/api/paas/v4", "zai"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://[::1]:11434/v1", "ollama"),
        ("https://ollama.com/v1", "ollama"),
        ("http://localhost:8000/v1", "compatible"),
        ("https://fakeopenrouter.ai/v1", "compatible"),
        ("https://notapi.openai.com.evil.test/v1", "compatible"),
        ("https://api.openai.com.test:99999/v1", "compatible"),
        ("", "compatible"),
    ],
)
def test_servers_are_known_by_their_address(base_url: str, name: str) -> None:
    assert profile_for(base_url).name == name


def test_every_server_can_be_chosen_by_name() -> None:
    names = "openai compatible azure groq mistral deepseek xai openrouter ollama vllm llama-cpp together perplexity"
    assert set(PROFILES) == {*names.split(), "cerebras", "huggingface", "snowflake", "zai"}
    assert all(profile.name == name for name, profile in PROFILES.items())


@pytest.mark.parametrize(
    ("recording", "profile", "member"),
    [
        ("azure_openai/005", "azure", "max_completion_tokens"),
        ("azure_openai/007", "azure", "max_completion_tokens"),
        ("huggingface/001", "huggingface", "max_tokens"),
        ("zai/001", "zai", "max_tokens"),
        ("xai/001", "xai", None),
        ("mistral/002", "mistral", "max_tokens"),
        ("openrouter/001", "openrouter", "max_tokens"),
    ],
)
def test_the_output_limit_is_spelled_as_it_was_recorded(
    recording: str, profile: str, member: str | None
) -> None:
    question = named(recording).question
    spelled = [name for name in ("max_tokens", "max_completion_tokens") if name in question]
    body, _ = written(profile, options={"maxOutputTokens": 9})
    ours = [name for name in ("max_tokens", "max_completion_tokens") if name in body]
    assert spelled
    if member is not None:
        assert ours == spelled == [member]


@pytest.mark.parametrize(
    ("profile", "member"),
    [
        # providers.md section 7 and the SDKs' types; Snowflake and Cerebras name max_completion_tokens.
        ("cerebras", "max_completion_tokens"),
        ("snowflake", "max_completion_tokens"),
        ("groq", "max_completion_tokens"),
        ("ollama", "max_tokens"),
        ("vllm", "max_tokens"),
        ("llama-cpp", "max_tokens"),
        ("together", "max_tokens"),
        ("perplexity", "max_tokens"),
        ("deepseek", "max_tokens"),
    ],
)
def test_the_output_limit_elsewhere(profile: str, member: str) -> None:
    assert written(profile, options={"maxOutputTokens": 9})[0][member] == 9


@pytest.mark.parametrize(
    ("recording", "profile"),
    [
        ("deepseek/001", "deepseek"),
        ("xai/001", "xai"),
        ("zai/002", "zai"),
        ("llama_cpp/003", "llama-cpp"),
        ("ollama/006", "ollama"),
    ],
)
def test_reasoning_goes_back_where_it_was_recorded_to(recording: str, profile: str) -> None:
    turns = [each for each in named(recording).question["messages"] if each["role"] == "assistant"]
    members = {name for turn in turns for name in turn if name in {"reasoning", "reasoning_content"}}
    thought = {"role": "ROLE_ASSISTANT", "parts": [{"reasoning": {"text": "hm"}}, {"text": "x"}]}
    body, warnings = written(profile, messages=[ASK, thought])
    (member,) = (name for name in body["messages"][1] if name not in {"role", "content"})
    assert member in members
    assert warnings == []


def test_reasoning_comes_from_cerebras_as_it_goes_back() -> None:
    (choice,) = json.loads(named("cerebras/001").answer)["choices"]
    assert choice["message"][PROFILES["cerebras"].reasoning_member]


@pytest.mark.parametrize(
    "profile", ["openai", "azure", "vllm", "together", "perplexity", "huggingface", "snowflake"]
)
def test_reasoning_goes_back_nowhere_else_and_that_is_told(profile: str) -> None:
    thought = {"role": "ROLE_ASSISTANT", "parts": [{"reasoning": {"text": "hm"}}, {"text": "x"}]}
    body, warnings = written(profile, messages=[ASK, thought])
    assert body["messages"][1] == {"role": "assistant", "content": "x"}
    assert warnings == ["messages[1].parts[0].reasoning"]


def test_perplexity_tells_usage_unasked_with_every_chunk() -> None:
    exchange = named("perplexity/001")
    assert "stream_options" not in exchange.question
    assert all("usage" in frame for frame in frames(exchange.answer))
    assert "stream_options" not in written("perplexity", stream=True)[0]
    relayed = OpenAICodec(PROFILES["perplexity"]).relay_request(
        json.dumps(exchange.question).encode(), "m", ENDPOINT_OPENAI_CHAT
    )
    assert not relayed.hide_usage
    assert b"stream_options" not in relayed.body


@pytest.mark.parametrize(
    ("recording", "profile"),
    [
        ("azure_openai/005", "azure"),
        ("ollama/006", "ollama"),
        ("llama_cpp/001", "llama-cpp"),
        ("huggingface/002", "huggingface"),
        ("snowflake/001", "snowflake"),
        ("zai/001", "zai"),
    ],
)
def test_usage_is_asked_for_where_it_was_recorded_so(recording: str, profile: str) -> None:
    assert named(recording).question["stream_options"] == {"include_usage": True}
    assert written(profile, stream=True)[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("recording", "profile", "model"),
    [
        ("llama_cpp/003", "llama-cpp", "any"),
        ("zai/002", "zai", "glm-4.7-flash"),
        ("perplexity/001", "perplexity", "sonar-reasoning-pro"),
        ("azure_openai/006", "azure", "gpt-5-mini"),
    ],
)
def test_effort_is_a_word(recording: str, profile: str, model: str) -> None:
    effort = named(recording).question["reasoning_effort"]
    body, warnings = written(profile, model, reasoning={"effort": effort})
    assert (body["reasoning_effort"], warnings) == (effort, [])


@pytest.mark.parametrize(
    ("profile", "model"), [("azure", "my-deployment"), ("ollama", "llama3"), ("cerebras", "llama3.1-8b")]
)
def test_effort_is_not_sent_to_models_not_known_to_take_it(profile: str, model: str) -> None:
    body, warnings = written(profile, model, reasoning={"effort": "low"})
    assert "reasoning_effort" not in body
    assert warnings == ["reasoning"]
    assert written(profile, "gpt-oss:20b", reasoning={"effort": "low"})[0]["reasoning_effort"] == "low"


@pytest.mark.parametrize(
    ("reasoning", "value"),
    [
        ({"effort": "low"}, {"effort": "low"}),
        ({"budgetTokens": "9"}, {"max_tokens": 9}),
        ({"mode": "REASONING_MODE_DISABLED"}, {"enabled": False}),
        ({"mode": "REASONING_MODE_ENABLED"}, {"enabled": True}),
        ({"display": "auto"}, None),
    ],
)
def test_snowflake_asks_for_reasoning_with_an_object(reasoning: dict[str, Any], value: Any) -> None:
    assert named("snowflake/002").question["reasoning"] == {"effort": "low"}
    body, warnings = written("snowflake", "claude-sonnet-4-6", reasoning=reasoning)
    assert body.get("reasoning") == value
    assert "reasoning_effort" not in body
    assert warnings == (["reasoning.display"] if value is None else [])


@pytest.mark.parametrize("profile", ["deepseek", "zai"])
def test_reasoning_is_switched(profile: str) -> None:
    assert named("deepseek/005").question["thinking"]["type"] in {"enabled", "disabled"}
    for mode, word in (("DISABLED", "disabled"), ("ENABLED", "enabled"), ("ADAPTIVE", "enabled")):
        body, warnings = written(profile, reasoning={"mode": f"REASONING_MODE_{mode}"})
        assert (body["thinking"], warnings) == ({"type": word}, [])
    body, warnings = written(profile, reasoning={"mode": "REASONING_MODE_ENABLED", "budgetTokens": "9"})
    assert warnings == ["reasoning.budget_tokens"]


@pytest.mark.parametrize(
    ("profile", "kept"),
    [
        ("openai", False),
        ("azure", False),
        # Not a member of Ollama's compatible requests: it would pass it over in silence.
        ("ollama", False),
        ("vllm", True),
        ("llama-cpp", True),
        ("together", True),
        ("perplexity", True),
        ("huggingface", False),
        ("snowflake", False),
    ],
)
def test_top_k(profile: str, kept: bool) -> None:
    body, warnings = written(profile, options={"topK": 5})
    assert ("top_k" in body) == kept
    assert warnings == ([] if kept else ["options.top_k"])


def test_azure_takes_an_end_user_and_labels() -> None:
    body, warnings = written("azure", options={"endUserId": "u"}, metadata={"a": "b"})
    assert (body["user"], body["metadata"], warnings) == ("u", {"a": "b"}, [])
    assert "safety_identifier" in written("openai", options={"endUserId": "u"})[0]


def test_mistral_wants_nine_characters_and_its_own_words() -> None:
    """providers.md section 0, fact 8, and section 7; mistral/003 and mistral/005 show ids and the seed's name."""
    assert "random_seed" in named("mistral/002").question
    call = {
        "toolCall": {"id": "call_0123456789", "name": "f", "arguments": "{}", "kind": "TOOL_KIND_FUNCTION"}
    }
    tools = [{"function": {"name": "f"}}]
    body, _ = written(
        "mistral",
        messages=[ASK, {"role": "ROLE_ASSISTANT", "parts": [call]}],
        options={"seed": "3"},
        tools=tools,
        toolChoice={"mode": "TOOL_CHOICE_MODE_REQUIRED"},
    )
    assert len(body["messages"][1]["tool_calls"][0]["id"]) == 9
    assert (body["random_seed"], body["tool_choice"]) == (3, "any")
