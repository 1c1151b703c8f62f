"""What requests of other dialects become at Bedrock, and what is said about what is lost."""

import json
from typing import Any

import pytest

from services.runtime.errors import RequestInvalid
from tests.dialects.bedrock import official
from tests.dialects.bedrock.asking import CLAUDE, asked, content, sent
from tests.dialects.bedrock.recorded import codec

OLD_CLAUDE = "anthropic.claude-3-7-sonnet-20250219-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
LLAMA = "meta.llama3-2-1b-instruct-v1:0"
USER = 'messages { role: ROLE_USER parts { text: "hi" } }'
TOOL = 'tools { function { name: "f" parameters_json: "{}" } }'
CALL = 'messages { role: ROLE_ASSISTANT parts { tool_call { id: "c" name: "f" arguments: "{}" } } }'
RESULT = 'messages { role: ROLE_TOOL parts { tool_result { call_id: "c" parts { text: "r" } } } }'
ANSWER_FORM = (
    'response_format { json_schema { name: "a b" description: "d" '
    'schema_json: "{\\"type\\":\\"object\\"}" } }'
)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("us.a.b-v1:0", "/model/us.a.b-v1%3A0/converse"),
        (
            "arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.a.b",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A000000000000%3Ainference-profile%2Fus.a.b/converse",
        ),
        ("a?b#c/../d e%", "/model/a%3Fb%23c%2F..%2Fd%20e%25/converse"),
    ],
)
def test_model_ids_are_one_quoted_segment(model: str, path: str) -> None:
    request = asked(USER)
    assert codec.encode_request(request, model, stream=False).path == path
    assert codec.encode_request(request, model, stream=True).path == f"{path}-stream"
    assert official.serialised("Converse", model, {})[0] == path


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_a_model_that_would_change_the_path_is_refused(model: str) -> None:
    with pytest.raises(RequestInvalid):
        codec.encode_request(asked(USER), model, stream=False)


def test_instructions_in_front_are_system_and_later_ones_the_users_words() -> None:
    body, lost = sent(
        'messages { role: ROLE_SYSTEM parts { text: "s" cache {} } }'
        'messages { role: ROLE_DEVELOPER parts { text: "d" } }'
        + USER
        + 'messages { role: ROLE_SYSTEM parts { text: "late" } }'
    )
    assert body["system"] == [{"text": "s"}, {"cachePoint": {"type": "default"}}, {"text": "d"}]
    assert body["messages"] == [{"role": "user", "content": [{"text": "hi"}, {"text": "late"}]}]
    assert lost == ["messages[3]"]


def test_instructions_alone_are_said_by_the_user() -> None:
    body, _ = sent('messages { role: ROLE_SYSTEM parts { text: "s" } }')
    assert body == {"messages": [{"role": "user", "content": [{"text": "s"}]}]}


def test_turns_alternate_and_results_go_first() -> None:
    body, lost = sent(
        USER
        + 'messages { role: ROLE_ASSISTANT parts { text: "a" } }'
        + CALL
        + 'messages { role: ROLE_USER parts { text: "u" } }'
        'messages { role: ROLE_TOOL parts { tool_result { call_id: "c" parts { text: "r" } } cache { ttl: "1h" } } }'
        + USER
        + TOOL
    )
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "c", "content": [{"text": "r"}]}},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "u"},
        {"text": "hi"},
    ]
    assert lost == []


def test_blank_texts_are_left_out() -> None:
    assert content('parts { text: "" } parts { text: "x" }') == ([{"text": "x"}], [])
    assert content('parts { text: " \\n" } parts { text: "x" }') == (
        [{"text": "x"}],
        ["messages[0].parts[0]"],
    )
    marked, lost = content('parts { text: "x" } parts { text: "" cache {} }')
    assert (marked, lost) == ([{"text": "x"}, {"cachePoint": {"type": "default"}}], [])
    assert content('parts { text: "" cache {} } parts { text: "x" }') == (
        [{"text": "x"}],
        ["messages[0].parts[0].cache"],
    )


def test_ids_and_arguments_that_bedrock_would_refuse() -> None:
    long = "x" * 90
    body, lost = sent(
        USER
        + f'messages {{ role: ROLE_ASSISTANT parts {{ tool_call {{ id: "a|b" name: "f" arguments: "[1]" }} }}'
        f' parts {{ tool_call {{ id: "{long}" name: "f" arguments: "" }} }} }}'
        f'messages {{ role: ROLE_TOOL parts {{ tool_result {{ call_id: "a|b" is_error: true }} }}'
        f' parts {{ tool_result {{ call_id: "{long}" is_error: false parts {{ text: "r" }} }} }} }}' + TOOL
    )
    calls = [block["toolUse"] for block in body["messages"][1]["content"]]
    results = [block["toolResult"] for block in body["messages"][2]["content"]]
    assert [call["toolUseId"] for call in calls] == [result["toolUseId"] for result in results]
    assert calls[0] == {"toolUseId": "a_b", "name": "f", "input": {"input": [1]}}
    assert calls[1]["input"] == {}
    assert [result["status"] for result in results] == ["error", "success"]
    assert lost == ["messages[1].parts[0].tool_call.arguments"]


@pytest.mark.parametrize(
    ("choice", "expected", "lost"),
    [
        ("mode: TOOL_CHOICE_MODE_AUTO", {"auto": {}}, []),
        ("mode: TOOL_CHOICE_MODE_REQUIRED", {"any": {}}, []),
        ('mode: TOOL_CHOICE_MODE_NAMED names: "f"', {"tool": {"name": "f"}}, []),
        ("mode: TOOL_CHOICE_MODE_REQUIRED parallel: false", {"any": {}}, ["tool_choice.parallel"]),
        ("parallel: true", None, []),
    ],
)
def test_tool_choice(choice: str, expected: Any, lost: list[str]) -> None:
    body, reported = sent(f"{USER} {TOOL} tool_choice {{ {choice} }}")
    assert body["toolConfig"].get("toolChoice") == expected
    assert reported == lost


def test_no_tool_may_be_called() -> None:
    none = "tool_choice { mode: TOOL_CHOICE_MODE_NONE }"
    body, lost = sent(f"{USER} {TOOL} {none}")
    assert ("toolConfig" in body, lost) == (False, ["tool_choice"])
    body, lost = sent(f"{USER} {CALL} {RESULT} {TOOL} {none}")
    assert ([*body["toolConfig"]], lost) == (["tools"], ["tool_choice"])


def test_one_call_at_most_can_be_asked_of_claude() -> None:
    body, lost = sent(f"{USER} {TOOL} tool_choice {{ mode: TOOL_CHOICE_MODE_AUTO parallel: false }}")
    assert body["additionalModelRequestFields"] == {
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}
    }
    assert ("toolChoice" in body["toolConfig"], lost) == (False, [])
    assert sent(f"{USER} {TOOL} tool_choice {{ parallel: false }}", NOVA)[1] == ["tool_choice.parallel"]


def test_tools_that_were_used_are_declared() -> None:
    body, lost = sent(USER + CALL + RESULT)
    (tool,) = body["toolConfig"]["tools"]
    assert (tool["toolSpec"]["name"], lost) == ("f", ["tools"])
    body, lost = sent(USER + RESULT)
    (tool,) = body["toolConfig"]["tools"]
    assert (tool["toolSpec"]["name"], lost) == ("unknown", ["tools"])


def test_allowed_tools_free_text_tools_and_foreign_tools() -> None:
    body, lost = sent(
        USER + TOOL + 'tools { custom { name: "g" description: "d" format_json: "{}" } cache {} }'
        'tools { hosted { dialect: "openai" type: "web_search" json: "{}" } }'
        'tool_choice { mode: TOOL_CHOICE_MODE_ALLOWED names: "g" }'
    )
    custom, mark = body["toolConfig"]["tools"]
    assert custom["toolSpec"]["name"] == "g__llmhub_text"
    assert mark == {"cachePoint": {"type": "default"}}
    assert lost == ["tool_choice", "tools[1]", "tools[1].custom.format_json"]
    read = codec.decode_request(json.dumps(body).encode()).request
    assert read.tools[0].custom.name == "g"


@pytest.mark.parametrize(
    ("model", "reasoning", "fields", "effort", "lost"),
    [
        (CLAUDE, 'effort: "high"', None, "high", []),
        (CLAUDE, 'effort: "minimal"', None, "low", ["reasoning.effort"]),
        (CLAUDE, 'effort: "none"', {"thinking": {"type": "disabled"}}, None, []),
        (CLAUDE, "budget_tokens: 2000", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, None, []),
        (
            CLAUDE,
            'mode: REASONING_MODE_ADAPTIVE display: "omitted"',
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            None,
            [],
        ),
        (
            CLAUDE,
            "mode: REASONING_MODE_ENABLED",
            {"thinking": {"type": "enabled", "budget_tokens": 4096}},
            None,
            ["reasoning.budget_tokens"],
        ),
        (OLD_CLAUDE, 'effort: "high"', None, None, ["reasoning.effort"]),
        (
            NOVA,
            'effort: "max"',
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            None,
            ["reasoning.effort"],
        ),
        (NOVA, "mode: REASONING_MODE_DISABLED", {"reasoningConfig": {"type": "disabled"}}, None, []),
        (
            NOVA,
            'effort: "low" budget_tokens: 9',
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            None,
            ["reasoning.budget_tokens"],
        ),
        ("openai.gpt-oss-20b-1:0", 'effort: "low"', {"reasoning_effort": "low"}, None, []),
        ("openai.gpt-5.6-luna", 'effort: "none"', {"reasoning": {"effort": "none"}}, None, []),
        (LLAMA, 'effort: "low" display: "auto"', None, None, ["reasoning.effort", "reasoning.display"]),
        (LLAMA, "mode: REASONING_MODE_ADAPTIVE", None, None, ["reasoning.mode"]),
    ],
)
def test_reasoning(model: str, reasoning: str, fields: Any, effort: str | None, lost: list[str]) -> None:
    body, reported = sent(f"{USER} reasoning {{ {reasoning} }}", model)
    assert body.get("additionalModelRequestFields") == fields
    assert body.get("outputConfig", {}).get("effort") == effort
    assert reported == lost


@pytest.mark.parametrize(
    ("model", "fields", "lost"),
    [
        (CLAUDE, {"top_k": 5}, []),
        (NOVA, {"inferenceConfig": {"topK": 5}}, []),
        ("cohere.command-r-v1:0", {"k": 5}, []),
        (LLAMA, None, ["options.top_k"]),
    ],
)
def test_top_k(model: str, fields: Any, lost: list[str]) -> None:
    body, reported = sent(f"{USER} options {{ top_k: 5 }}", model)
    assert (body.get("additionalModelRequestFields"), reported) == (fields, lost)


def test_options() -> None:
    body, lost = sent(
        USER
        + 'options { max_output_tokens: 9 temperature: 1.5 top_p: 1 stop_sequences: "x" stop_sequences: "" '
        'seed: 1 logprobs: false candidates: 2 service_tier: "priority" end_user_id: "u" modalities: "text" }'
        'metadata { key: "team" value: "a" } metadata { key: "bad" value: "é" }'
    )
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 1, "topP": 1, "stopSequences": ["x"]}
    assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert (body["serviceTier"], body["requestMetadata"]) == ({"type": "priority"}, {"team": "a"})
    assert set(lost) == {
        "options.temperature",
        "options.stop_sequences",
        "options.seed",
        "options.candidates",
        "options.end_user_id",
        "metadata",
    }
    assert sent(USER + 'options { service_tier: "scale" }')[1] == ["options.service_tier"]
    assert sent(USER + 'options { service_tier: "auto" }') == ({"messages": body["messages"]}, [])


def test_structured_output_in_three_ways() -> None:
    body, lost = sent(USER + ANSWER_FORM)
    definition = {"schema": '{"type":"object"}', "name": "a b", "description": "d"}
    assert body["outputConfig"] == {
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}
    }
    assert lost == []
    body, lost = sent(USER + ANSWER_FORM, NOVA)
    spec = {"name": "a_b__llmhub_json", "description": "d", "inputSchema": {"json": {"type": "object"}}}
    assert body["toolConfig"] == {
        "tools": [{"toolSpec": spec}],
        "toolChoice": {"tool": {"name": spec["name"]}},
    }
    assert lost == ["response_format"]
    body, _ = sent(USER + ANSWER_FORM + TOOL, NOVA)
    assert (len(body["toolConfig"]["tools"]), body["toolConfig"]["toolChoice"]) == (2, {"any": {}})
    for model, more in ((LLAMA, ""), (OLD_CLAUDE, "reasoning { budget_tokens: 1024 }")):
        body, lost = sent(USER + ANSWER_FORM + more, model)
        assert body["system"][0]["text"].endswith('{"type":"object"}')
        assert lost == ["response_format", "response_format.json_schema.description"]
    body, lost = sent(USER + "response_format { json: true }")
    assert ("JSON" in body["system"][0]["text"], lost) == (True, ["response_format.json"])


def test_tokens_are_counted_of_what_is_input() -> None:
    request = asked(
        USER + TOOL + 'options { max_output_tokens: 5 top_k: 3 } metadata { key: "a" value: "b" }'
    )
    written = codec.encode_count_request(request, "eu." + OLD_CLAUDE)
    body = json.loads(written.body)
    path, theirs = official.serialised("CountTokens", OLD_CLAUDE, body)
    assert (written.path, body) == (path, theirs)
    assert {*body["input"]["converse"]} == {"messages", "toolConfig", "additionalModelRequestFields"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"messages":1}',
        b'{"messages":[{"role":"robot","content":[]}]}',
        b'{"messages":[{"role":"user","content":"x"}]}',
        b'{"messages":[{"role":"user","content":[{"text":"x","image":{}}]}]}',
        b'{"messages":[],"toolConfig":{"tools":[1]}}',
    ],
)
def test_bodies_that_are_no_requests(body: bytes) -> None:
    with pytest.raises(RequestInvalid) as raised:
        codec.decode_request(body)
    assert raised.value.violations


@pytest.mark.parametrize("body", [b"{}", b'{"input":1}', b'{"input":{"converse":{"messages":1}}}'])
def test_bodies_that_count_nothing(body: bytes) -> None:
    with pytest.raises(RequestInvalid):
        codec.decode_count_request(body)


def test_what_a_caller_adds_for_bedrock_goes_along_and_changes_nothing_else() -> None:
    guardrail = {"guardrailIdentifier": "abc", "guardrailVersion": "1"}
    added = json.dumps({"guardrailConfig": guardrail, "additionalModelRequestFields": {"x": 1}})
    blank = 'messages { role: ROLE_USER parts { text: "" } } options { top_k: 2 }'
    body, lost = sent(f"{USER} {blank} {CALL} extensions {{ key: 'bedrock' value: '{added}' }}")
    assert body["guardrailConfig"] == guardrail
    assert body["additionalModelRequestFields"] == {"top_k": 2, "x": 1}
    assert [block["text"] for block in body["messages"][0]["content"]] == ["hi"]
    assert lost == ["tools"]
    paths = 'extensions { key: "bedrock" value: "{\\"additionalModelResponseFieldPaths\\":[\\"/a\\"]}" }'
    body, _ = sent(f'{USER} options {{ stop_sequences: "x" }} {paths}')
    assert body["additionalModelResponseFieldPaths"] == ["/a"]
