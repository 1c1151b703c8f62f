"""What becomes of requests that Anthropic cannot take as they are."""

import base64
import json
import time
from typing import Any

import pytest
from google.protobuf import text_format

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import WarningKind
from services.dialects.anthropic import AnthropicCodec
from services.dialects.text_tools import TEXT_SUFFIX
from services.runtime.errors import ParameterUnsupported, RequestInvalid

codec = AnthropicCodec()
HELLO = 'messages { role: ROLE_USER parts { text: "hello" } } options { max_output_tokens: 9 }'


def request(text: str) -> GenerateRequest:
    return text_format.Parse(text, GenerateRequest())


def encoded(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The body, and kind by field of what was lost."""
    written = codec.encode_request(request(text), "claude-x", stream=False)
    kinds = {
        each.field: WarningKind.Name(each.kind).removeprefix("WARNING_KIND_") for each in written.warnings
    }
    return json.loads(written.body), kinds


def messages(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = encoded(text + " options { max_output_tokens: 9 }")[0]["messages"]
    return found


def test_a_bound_is_supplied_and_never_refused() -> None:
    body, lost = encoded(
        'unsupported: UNSUPPORTED_POLICY_REFUSE messages { role: ROLE_USER parts { text: "x" } }'
    )
    assert body["max_tokens"] == 4096
    assert lost == {"options.max_output_tokens": "EMULATED"}
    body, lost = encoded(
        """messages { role: ROLE_USER parts { text: "x" } }
        extensions { key: "anthropic" value: '{"max_tokens":64000,"betas":["a","b"]}' }"""
    )
    assert (body["max_tokens"], lost) == (64000, {})
    assert "betas" not in body


def test_betas_travel_in_the_header() -> None:
    text = HELLO + """ extensions { key: "anthropic" value: '{"betas":["a","b"]}' }"""
    assert codec.encode_request(request(text), "m", stream=True).headers["anthropic-beta"] == "a,b"


def test_instructions_go_on_top_or_are_said_by_the_user() -> None:
    body, lost = encoded(
        """messages { role: ROLE_SYSTEM parts { text: "one" } } messages { role: ROLE_DEVELOPER parts { text: "two" } }
        messages { role: ROLE_USER parts { text: "hi" } } messages { role: ROLE_ASSISTANT parts { text: "yes" } }
        messages { role: ROLE_SYSTEM parts { text: "three" } }"""
    )
    assert [block["text"] for block in body["system"]] == ["one", "two"]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][2]["content"] == [{"type": "text", "text": "three"}]
    assert lost["messages[4]"] == "EMULATED"


def test_instructions_alone_become_the_first_message() -> None:
    body, lost = encoded('messages { role: ROLE_SYSTEM parts { text: "only" } }')
    assert "system" not in body
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "only"}]}]
    assert lost["messages[0]"] == "EMULATED"


def test_tool_results_and_user_words_are_one_turn_with_results_first() -> None:
    found = messages(
        """messages { role: ROLE_USER parts { text: "q" } }
        messages { role: ROLE_ASSISTANT parts { tool_call { id: "functions.f:0" name: "f" } }
                   parts { tool_call { id: "b" name: "g" arguments: '{"x":1.0}' } } }
        messages { role: ROLE_TOOL parts { tool_result { call_id: "functions.f:0" parts { text: "r1" } } } }
        messages { role: ROLE_USER parts { text: "and" } }
        messages { role: ROLE_TOOL parts { tool_result { call_id: "b" is_error: true parts { text: "r2" } } } }"""
    )
    assert [message["role"] for message in found] == ["user", "assistant", "user"]
    calls, results = found[1]["content"], found[2]["content"]
    assert [(call["id"], call["input"]) for call in calls] == [("functions_f_0", {}), ("b", {"x": 1.0})]
    assert [block["type"] for block in results] == ["tool_result", "tool_result", "text"]
    assert [block.get("tool_use_id") for block in results] == ["functions_f_0", "b", None]
    assert results[1]["is_error"] is True


def test_empty_texts_and_empty_turns_are_left_out() -> None:
    found = messages(
        """messages { role: ROLE_USER parts { text: "" } parts { text: "q" } }
        messages { role: ROLE_ASSISTANT parts { text: "" } }
        messages { role: ROLE_USER parts { text: "r" } }"""
    )
    assert found == [
        {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "r"}]}
    ]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ("seed: 1", "options.seed"),
        ("candidates: 2", "options.candidates"),
        ("logprobs: true", "options.logprobs"),
        ("top_logprobs: 2", "options.top_logprobs"),
        ('logit_bias { key: "1" value: 2 }', "options.logit_bias"),
        ("frequency_penalty: 0.5", "options.frequency_penalty"),
        ("presence_penalty: 0.5", "options.presence_penalty"),
        ('verbosity: "low"', "options.verbosity"),
        ('modalities: "audio"', "options.modalities"),
        ('service_tier: "flex"', "options.service_tier"),
        ('stop_sequences: " "', "options.stop_sequences"),
        ('prompt_cache_key: "k"', "options.prompt_cache_key"),
    ],
)
def test_options_that_do_not_exist_are_reported_or_refused(options: str, field: str) -> None:
    text = HELLO.replace("max_output_tokens: 9", f"max_output_tokens: 9 {options}")
    body, lost = encoded(text)
    assert lost == {field: "DROPPED"}
    assert set(body) == {"model", "max_tokens", "messages"}
    with pytest.raises(ParameterUnsupported) as refused:
        encoded(text + " unsupported: UNSUPPORTED_POLICY_REFUSE")
    assert refused.value.metadata["field"] == field


def test_harmless_options_are_silent() -> None:
    text = HELLO.replace(
        "max_output_tokens: 9", 'max_output_tokens: 9 candidates: 1 logprobs: false modalities: "text"'
    )
    assert encoded(text)[1] == {}


def test_temperature_is_clamped() -> None:
    body, lost = encoded(HELLO.replace("max_output_tokens: 9", "max_output_tokens: 9 temperature: 1.7"))
    assert (body["temperature"], lost) == (1, {"options.temperature": "ALTERED"})


def test_json_mode_becomes_an_instruction() -> None:
    body, lost = encoded(HELLO + " response_format { json: true }")
    assert "JSON" in body["system"][0]["text"]
    assert lost == {"response_format.json": "EMULATED"}


def test_structured_output_and_effort() -> None:
    body, lost = encoded(
        HELLO
        + ' response_format { json_schema { name: "n" strict: true schema_json: \'{"type":"object"}\' } }'
        ' reasoning { effort: "minimal" }'
    )
    assert body["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    }
    assert lost == {"reasoning.effort": "ALTERED"}
    assert encoded(HELLO + ' reasoning { effort: "none" }')[0]["thinking"] == {"type": "disabled"}
    assert encoded(HELLO + ' reasoning { effort: "high" }')[0]["output_config"] == {"effort": "high"}


TOOLS = ' tools { function { name: "f" parameters_json: "{}" } } tools { function { name: "g" } }'


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("mode: TOOL_CHOICE_MODE_REQUIRED", {"type": "any"}),
        ("mode: TOOL_CHOICE_MODE_NONE parallel: false", {"type": "none"}),
        ("parallel: false", {"type": "auto", "disable_parallel_tool_use": True}),
        (
            'mode: TOOL_CHOICE_MODE_NAMED names: "f" parallel: true',
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
        ),
    ],
)
def test_tool_choice(choice: str, expected: dict[str, Any]) -> None:
    body, lost = encoded(f"{HELLO}{TOOLS} tool_choice {{ {choice} }}")
    assert body["tool_choice"] == expected
    assert [tool["input_schema"]["type"] for tool in body["tools"]] == ["object", "object"]
    assert lost == {}


def test_allowed_tools_are_the_only_ones_offered() -> None:
    body, lost = encoded(f'{HELLO}{TOOLS} tool_choice {{ mode: TOOL_CHOICE_MODE_ALLOWED names: "g" }}')
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == {"type": "auto"}
    assert lost == {"tool_choice": "EMULATED"}


def test_free_text_tools_are_functions_with_one_text() -> None:
    body, lost = encoded(
        HELLO + ' tools { custom { name: "patch" description: "d" } }'
        ' tool_choice { mode: TOOL_CHOICE_MODE_NAMED names: "patch" }'
        ' messages { role: ROLE_ASSISTANT parts { tool_call { id: "c" name: "patch" arguments: "*** \\"x\\"" '
        "kind: TOOL_KIND_CUSTOM } } }"
    )
    name = "patch" + TEXT_SUFFIX
    assert (body["tools"][0]["name"], body["tool_choice"]) == (name, {"type": "tool", "name": name})
    call = body["messages"][1]["content"][0]
    assert (call["name"], call["input"]) == (name, {"input": '*** "x"'})
    assert lost == {"tools[0]": "EMULATED"}


def test_broken_arguments_are_wrapped() -> None:
    body, lost = encoded(
        HELLO
        + ' messages { role: ROLE_ASSISTANT parts { tool_call { id: "c" name: "f" arguments: \'{"x":\' } } }'
    )
    assert body["messages"][1]["content"][0]["input"] == {"input": '{"x":'}
    assert list(lost.values()) == ["ALTERED"]


def test_media() -> None:
    png = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
    body, lost = encoded(
        f"""options {{ max_output_tokens: 9 }} messages {{ role: ROLE_USER
        parts {{ media {{ kind: MEDIA_KIND_IMAGE url: "data:image/png;base64,{png}" }} }}
        parts {{ media {{ kind: MEDIA_KIND_IMAGE data: "\\x89PNG\\r\\n\\x1a\\nrest" }} }}
        parts {{ media {{ kind: MEDIA_KIND_IMAGE url: "https://example.test/a.png" detail: "high" }} }}
        parts {{ media {{ kind: MEDIA_KIND_DOCUMENT data: "%PDF-1" file_name: "a.pdf" }} }}
        parts {{ media {{ kind: MEDIA_KIND_DOCUMENT data: "words" mime_type: "text/csv" }} }}
        parts {{ media {{ kind: MEDIA_KIND_DOCUMENT data: "PK" mime_type: "application/zip" }} }}
        parts {{ media {{ kind: MEDIA_KIND_AUDIO data: "RIFF" }} }} }}"""
    )
    inline = {"type": "base64", "media_type": "image/png", "data": png}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1").decode()}
    assert body["messages"][0]["content"] == [
        {"type": "image", "source": inline},
        {"type": "image", "source": inline},
        {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}},
        {"type": "document", "title": "a.pdf", "source": pdf},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
    ]
    assert list(lost.values()) == ["DROPPED"] * 3


def test_state_of_other_dialects_is_dropped_and_own_kept() -> None:
    body, lost = encoded(
        HELLO
        + """ messages { role: ROLE_ASSISTANT
        parts { reasoning { text: "a" } state { dialect: "openai" kind: "encrypted_content" data: "x" } }
        parts { reasoning { text: "b" } state { dialect: "anthropic" kind: "signature" data: "sig" } }
        parts { reasoning { redacted: true } state { dialect: "anthropic" kind: "redacted_thinking" data: "d" } }
        parts { opaque { dialect: "openai" type: "x" json: "{}" } }
        parts { refusal: "no" } }"""
    )
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "b", "signature": "sig"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "no"},
    ]
    assert sorted(lost.values()) == ["DROPPED", "DROPPED", "EMULATED"]


@pytest.mark.parametrize(
    "text",
    [
        ' tools { function { name: "f" parameters_json: "{" } }',
        ' tools { hosted { dialect: "anthropic" json: "x" } }',
        ' messages { role: ROLE_USER parts { opaque { dialect: "anthropic" json: "" } } }',
        ' response_format { json_schema { schema_json: "nope" } }',
        ' extensions { key: "anthropic" value: "[]" }',
    ],
)
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        encoded(HELLO + text)
    assert refused.value.violations[0].field


def test_counting_leaves_out_what_does_not_count() -> None:
    text = HELLO + TOOLS + ' reasoning { effort: "high" }'
    written = codec.encode_count_request(request(text), "m")
    assert set(json.loads(written.body)) == {"model", "messages", "tools", "output_config"}
    assert written.warnings == ()


@pytest.mark.parametrize("broken", ["data:image/png;base64,@@@", "data:image/png;base64,iVBORw0KGgo-_w=="])
def test_an_image_that_cannot_be_decoded_is_sent_as_it_is_and_not_as_another(broken: str) -> None:
    body, _ = encoded(
        f'messages {{ role: ROLE_USER parts {{ media {{ kind: MEDIA_KIND_IMAGE url: "{broken}" }} }} }}'
    )
    (image,) = body["messages"][0]["content"]
    assert image["source"] == {"type": "url", "url": broken}


def test_an_image_may_be_written_in_lines() -> None:
    url = "data:image/png;base64,iVBO\\nRw0K"
    body, _ = encoded(
        f'messages {{ role: ROLE_USER parts {{ media {{ kind: MEDIA_KIND_IMAGE url: "{url}" }} }} }}'
    )
    assert body["messages"][0]["content"][0]["source"]["data"] == "iVBORw0K"


def test_thousands_of_messages_in_one_turn_are_joined_in_linear_time() -> None:
    turn = (
        'messages { role: ROLE_USER parts { text: "a" } }'
        ' messages { role: ROLE_TOOL parts { tool_result { call_id: "c" parts { text: "r" } } } }'
    )
    began = time.process_time()
    body, _ = encoded(turn * 4000)
    assert time.process_time() - began < 5
    kinds = [block["type"] for block in body["messages"][0]["content"]]
    assert kinds == ["tool_result"] * 4000 + ["text"] * 4000
