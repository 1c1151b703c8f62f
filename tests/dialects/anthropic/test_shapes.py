"""Bodies after the specification that no recording shows (ours): they come back as they were, by value."""

import base64
import json
from typing import Any

import pytest

from llmhub.types.v1.content_pb2 import ROLE_SYSTEM, ROLE_TOOL, ROLE_USER
from llmhub.types.v1.generation_pb2 import REASONING_MODE_ENABLED
from services.dialects.anthropic import AnthropicCodec
from services.runtime.errors import RequestInvalid

codec = AnthropicCodec()
DATA = base64.b64encode(bytes(range(200))).decode()
TEXT = {"type": "text", "text": "t"}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "r"}
CALL = {"type": "tool_use", "id": "a", "name": "f", "input": {"z": 1, "a": [1.5, None, {}]}}


def body(**members: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "q"}], **members}


def user(*blocks: Any) -> dict[str, Any]:
    return body(messages=[{"role": "user", "content": list(blocks)}])


def round_trip(value: dict[str, Any]) -> dict[str, Any]:
    read = codec.decode_request(json.dumps(value).encode())
    written = codec.encode_request(read.request, value["model"], stream=read.stream)
    assert written.warnings == ()
    result: dict[str, Any] = json.loads(written.body)
    return result


BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
    {"type": "text", "text": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    {"type": "text", "text": "t", "cache_control": {"type": "forever", "new": 1}},
    {"type": "text", "text": "t", "cache_control": None, "citations": None},
    {"type": "text", "text": "t", "citations": []},
    {
        "type": "text",
        "text": "t",
        "citations": [
            {"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": None,
             "start_char_index": 0, "end_char_index": 4},
            {"type": "page_location", "cited_text": "c", "document_index": 1, "document_title": "T",
             "start_page_number": 1, "end_page_number": 2, "file_id": "f"},
            {"type": "content_block_location", "cited_text": "", "document_index": 2, "document_title": "",
             "start_block_index": 0, "end_block_index": 1},
            {"type": "web_search_result_location", "cited_text": "c", "encrypted_index": "x", "title": None,
             "url": "https://example.test"},
            {"type": "search_result_location", "cited_text": "c", "search_result_index": 0, "source": "s",
             "title": "T", "start_block_index": 0, "end_block_index": 1},
            {"type": "new_location", "cited_text": "c", "where": {"x": 1}},
        ],
    },
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
    {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png", "new": 1}},
    {"type": "image", "source": {"type": "file", "file_id": "file_1"}, "cache_control": {"type": "ephemeral"}},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ= ="}},
    {"type": "image", "source": {"type": "holograph", "data": "?"}},
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA},
     "title": "T", "context": "C", "citations": {"enabled": True}},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"},
     "title": None, "citations": {"enabled": False, "new": 1}},
    {"type": "document", "source": {"type": "url", "url": "https://example.test/a.pdf"}, "citations": {}},
    {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "title": ""},
    {"type": "document", "source": {"type": "content", "content": "as string"}},
    {"type": "document", "source": {"type": "content", "content": [
        TEXT, {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}}]}},
    {"type": "search_result", "source": "s", "title": "T", "content": [TEXT], "citations": {"enabled": True}},
    {"type": "container_upload", "file_id": "file_1"},
    {"type": "something_new", "with": {"members": [1, 2.0, None]}},
]  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block)[:60])
def test_blocks_of_a_user(block: dict[str, Any]) -> None:
    assert round_trip(user(block, TEXT)) == user(block, TEXT)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "", "signature": "sig=="},
        {"type": "thinking", "thinking": "w", "signature": "sig==", "new": 1},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "mcp_tool_use", "id": "s", "name": "n", "server_name": "v", "input": {}},
        {"type": "compaction", "content": "short"},
        {**CALL, "cache_control": {"type": "ephemeral"}, "caller": {"type": "direct"}},
    ],
)
def test_blocks_of_an_assistant(block: dict[str, Any]) -> None:
    value = body(messages=[{"role": "user", "content": "q"}, {"role": "assistant", "content": [block, TEXT]}])
    assert round_trip(value) == value


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"content": "text"},
        {"content": ""},
        {"content": []},
        {"content": None},
        {"content": [TEXT, BLOCKS[6], BLOCKS[11], BLOCKS[17]]},
        {"content": [{"type": "tool_reference", "tool_name": "f"}]},
        {
            "content": [
                {"type": "tool_reference", "tool_name": "f", "cache_control": {"type": "ephemeral"}, "a": 1}
            ]
        },
        {"content": [{"type": "tool_reference", "tool_name": 1}, {"type": "tool_reference"}]},
        {"is_error": True},
        {"is_error": False, "cache_control": {"type": "ephemeral", "ttl": "5m"}},
    ],
)
def test_tool_results(content: dict[str, Any]) -> None:
    block = {"type": "tool_result", "tool_use_id": "a", **content}
    assert round_trip(user(block)) == user(block)


TURNS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    [
        {"role": "user", "content": [TEXT]},
        {"role": "user", "content": [TEXT]},
        {"role": "user", "content": "c"},
    ],
    [{"role": "user", "content": [RESULT, RESULT, TEXT]}],
    [{"role": "user", "content": [TEXT, RESULT, TEXT, RESULT]}],
    [{"role": "user", "content": [RESULT]}, {"role": "user", "content": [RESULT, TEXT]}],
    [{"role": "assistant", "content": [CALL]}, {"role": "assistant", "content": "again"}],
    [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "b"},
        {"role": "user", "content": [RESULT]},
    ],
    [{"role": "system", "content": [TEXT]}, {"role": "user", "content": "a"}],
    [{"role": "user", "content": "a", "new": {"x": 1}}, {"role": "assistant", "content": ""}],
    [{"role": "user", "content": []}],
]


@pytest.mark.parametrize("turns", TURNS, ids=str)
def test_turns(turns: list[dict[str, Any]]) -> None:
    assert round_trip(body(messages=turns)) == body(messages=turns)


def test_a_turn_with_results_is_split_by_role() -> None:
    value = body(messages=[{"role": "user", "content": [RESULT, TEXT]}], system=[TEXT])
    messages = codec.decode_request(json.dumps(value).encode()).request.messages
    assert [message.role for message in messages] == [ROLE_SYSTEM, ROLE_TOOL, ROLE_USER]


@pytest.mark.parametrize(
    "members",
    [
        {"system": "be good"},
        {"system": ""},
        {"system": []},
        {"system": None},
        {"system": [{**TEXT, "cache_control": {"type": "ephemeral"}}, TEXT]},
        {"tools": [], "stop_sequences": [], "metadata": {}},
        {"tools": [{"type": "custom", "name": "f", "description": "", "input_schema": {"type": "object"}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object", "b": 1, "a": 1.0}, "strict": True,
                    "cache_control": {"type": "ephemeral"}, "defer_loading": True}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": None,
                    "cache_control": {"type": "ephemeral"}}]},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": False, "new": 1}},
        {"tool_choice": {"type": "none"}},
        {"tool_choice": {"type": "novel", "x": 1}},
        {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}},
        {"thinking": {"type": "adaptive", "new": 1}},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "novel", "x": 1}},
        {"output_config": {"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}}},
        {"output_config": {"effort": None, "task_budget": {"total": 1}}},
        {"output_config": {}},
        {"output_config": {"format": {"type": "novel"}}},
        {"metadata": {"user_id": "u"}},
        {"metadata": {"user_id": None}},
        {"metadata": {"user_id": "u", "new": 1}},
        {"service_tier": "standard_only", "stop_sequences": ["a", "b"]},
        {"temperature": 0.0, "top_p": 1, "top_k": 0},
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}, "speed": "fast", "inference_geo": "us"},
        {"container": {"id": "c", "skills": []}, "mcp_servers": [], "context_management": {"edits": []}},
        {"stream": False},
        {"stream": True},
        {"stream": None},
    ],
    ids=str,
)  # fmt: skip
def test_members_of_a_request(members: dict[str, Any]) -> None:
    assert round_trip(body(**members)) == body(**members)


def test_what_is_modelled_is_in_the_contract() -> None:
    value = body(
        thinking={"type": "enabled", "budget_tokens": 2048},
        metadata={"user_id": "u"},
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        stop_sequences=["s"],
        temperature=0.5,
    )
    request = codec.decode_request(json.dumps(value).encode()).request
    assert (request.reasoning.mode, request.reasoning.budget_tokens) == (REASONING_MODE_ENABLED, 2048)
    assert (request.options.end_user_id, request.options.temperature) == ("u", 0.5)
    assert list(request.options.stop_sequences) == ["s"]
    assert request.tool_choice.HasField("parallel")
    assert not request.tool_choice.parallel
    assert request.options.max_output_tokens == 5
    assert not request.extensions


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"max_tokens": 1, "messages": []}, "model"),
        ({"model": "m", "messages": []}, "max_tokens"),
        ({"model": "m", "max_tokens": "5", "messages": []}, "max_tokens"),
        ({"model": "m", "max_tokens": 5}, "messages"),
        (body(messages=[]), "messages"),
        (body(messages="hello"), "messages"),
        (body(messages=["hello"]), "messages"),
        (body(messages=[{"role": "developer", "content": "x"}]), "messages[0].role"),
        (body(messages=[{"role": "user"}]), "messages[0].content"),
        (body(messages=[{"role": "user", "content": 5}]), "messages[0].content"),
        (body(messages=[{"role": "user", "content": [{"text": "x"}]}]), "messages[0].content[0].type"),
        (
            body(messages=[{"role": "user", "content": [{"type": "text", "text": 5}]}]),
            "messages[0].content[0].text",
        ),
        (body(system=5), "system"),
        (body(temperature="hot"), "temperature"),
        (body(stop_sequences=[1]), "stop_sequences"),
        (body(tools={}), "tools"),
        (body(stream="yes"), "stream"),
    ],
)
def test_faults_say_where(value: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        codec.decode_request(json.dumps(value).encode())
    assert field in [violation.field for violation in refused.value.violations]
    assert refused.value.message.startswith(refused.value.violations[0].field)
