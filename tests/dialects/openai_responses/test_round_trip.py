"""encode(decode(x)) is x by value, for everything that was ever recorded."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.generation_pb2 import Candidate
from llmhub.types.v1.stream_pb2 import StreamEvent
from services.dialects.codec import DecodedRequest
from services.dialects.fold import Folding
from services.dialects.openai_responses import ResponsesCodec
from tests.dialects.openai_responses.traffic import ASKED, COMPACTS, COUNTS, FAILED, STREAMS, WHOLE
from tests.support.exchanges import Exchange, random_pieces, sse_events
from tests.support.recordings import awkward_cuts, frames, pieces

codec = ResponsesCodec()
CALLER = DecodedRequest(GenerateRequest(), stream=True)


@pytest.mark.parametrize("exchange", ASKED, ids=str)
def test_requests(exchange: Exchange) -> None:
    body: dict[str, Any] = dict(exchange.body or {})
    decoded = codec.decode_request(json.dumps(body).encode())
    assert decoded.stream == bool(body.get("stream"))
    written = codec.encode_request(decoded.request, body["model"], stream=decoded.stream)
    assert json.loads(written.body) == body
    assert written.warnings == ()
    assert written.path == "/responses"


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_counts(exchange: Exchange) -> None:
    body: dict[str, Any] = dict(exchange.body or {})
    request = codec.decode_count_request(json.dumps(body).encode())
    written = codec.encode_count_request(request, body["model"])
    assert json.loads(written.body) == body
    assert written.path == "/responses/input_tokens"
    counted = codec.decode_count_response(exchange.answer)
    assert json.loads(codec.encode_count_response(counted)) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", [*WHOLE, *COMPACTS], ids=str)
def test_answers(exchange: Exchange) -> None:
    response = codec.decode_response(exchange.answer)
    assert json.loads(codec.encode_response(response)) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_streams(exchange: Exchange) -> None:
    decoder, encoder = codec.stream_decoder(), codec.stream_encoder(CALLER)
    written = b""
    for piece in random_pieces(exchange.answer, len(exchange.answer)):
        written += encoder.encode(decoder.feed(piece))
    written += encoder.encode(decoder.close())
    assert frames(written) == frames(exchange.answer)
    assert b"[DONE]" not in written
    for frame, line in zip(frames(written), written.split(b"\n\n"), strict=False):
        assert line.startswith(b"event: " + frame["type"].encode() + b"\n")


@pytest.mark.parametrize("exchange", sorted(STREAMS, key=lambda each: len(each.answer))[:4], ids=str)
def test_any_split_gives_the_same_events(exchange: Exchange) -> None:
    whole = codec.stream_decoder()
    expected = [*whole.feed(exchange.answer), *whole.close()]
    data = exchange.answer
    for parts in ([data[n : n + 1] for n in range(len(data))], pieces(data, awkward_cuts(data))):
        decoder = codec.stream_decoder()
        events = [event for part in parts for event in decoder.feed(part)]
        assert [*events, *decoder.close()] == expected


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_a_frame_s_events_may_come_one_by_one(exchange: Exchange) -> None:
    decoder, encoder = codec.stream_decoder(), codec.stream_encoder(CALLER)
    events = [*decoder.feed(exchange.answer), *decoder.close()]
    assert frames(b"".join(encoder.encode([event]) for event in events)) == frames(exchange.answer)


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_event_by_event_is_the_same(exchange: Exchange) -> None:
    """Most deltas come alone, and are read another way than those that do not."""
    whole, single = codec.stream_decoder(), codec.stream_decoder()
    expected = [*whole.feed(exchange.answer), *whole.close()]
    events = [event for piece in sse_events(exchange.answer) for event in single.feed(piece)]
    assert [*events, *single.close()] == expected


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_a_stream_travels_as_what_is_new_in_it(exchange: Exchange) -> None:
    decoder = codec.stream_decoder()
    events = [*decoder.feed(exchange.answer), *decoder.close()]
    assert sum(event.ByteSize() for event in events) < len(exchange.answer)
    assert [event.sequence for event in events] == list(range(len(events)))
    if "logprobs-output" in exchange.features:
        # Its last frames have other probabilities, and so are told whole.
        return
    texts = [part.text for candidate in folded(events) for part in candidate.parts if len(part.text) > 30]
    assert not any(text in each for event in events for each in event.extensions.values() for text in texts)
    numbers = [event.frame for event in events]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("exchange", FAILED, ids=str)
def test_errors(exchange: Exchange) -> None:
    error = codec.decode_error(exchange.status, dict(exchange.headers), exchange.answer)
    answer = codec.encode_error(error, "r")
    if error.reason == "UPSTREAM_AUTH_FAILED":
        # The provider refused llmhub's key: none of the caller's business.
        assert answer.status == 503
        assert b"api key" not in answer.body.lower()
        return
    assert answer.status == exchange.status
    assert json.loads(answer.body) == json.loads(exchange.answer)


def folded(events: list[StreamEvent]) -> list[Candidate]:
    folding = Folding()
    for event in events:
        folding.add(event)
    return list(folding.fragment().candidates)


SHAPES: list[dict[str, Any]] = [
    {"input": ""},
    {"input": []},
    {"input": [], "instructions": None, "tools": [], "text": {}, "reasoning": {}, "metadata": {}},
    {"instructions": "be brief", "input": "x"},
    {"instructions": "", "input": [{"role": "system", "content": "s"}]},
    {"input": None, "previous_response_id": "resp_1"},
    {"input": [{"role": "user", "content": []}, {"role": "assistant", "content": ""}]},
    {
        "input": [
            {"role": "user", "content": "a", "new": 1},
            {"type": "message", "role": "user", "content": "b"},
        ]
    },
    {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0=", "detail": "low"},
                    {"type": "input_image", "image_url": "https://x.test/a.png", "file_id": None},
                    {"type": "input_image", "file_id": "file-1", "detail": "auto"},
                    {
                        "type": "input_file",
                        "file_data": "data:application/pdf;base64,JVBERg==",
                        "filename": "a",
                    },
                    {"type": "input_file", "file_data": "JVBERg=="},
                    {"type": "input_file", "file_data": "not base64"},
                    {"type": "input_file", "file_url": "https://x.test/a.pdf"},
                    {"type": "input_file", "file_id": "file-2"},
                    {"type": "input_file"},
                    {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
                    {"type": "input_text", "text": None},
                    {"type": ["odd"]},
                    {},
                ],
            }
        ]
    },
    {
        "input": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "final_answer",
                "content": [
                    {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                    {"type": "output_text", "text": "", "annotations": None, "x": {"y": 1}},
                    {"type": "refusal", "refusal": "no"},
                    {"type": "output_text", "text": "b", "logprobs": [{"token": "b", "logprob": -1}]},
                ],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "namespace": "n"},
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c2",
                "name": "f",
                "arguments": "",
                "status": None,
            },
            {"type": "function_call", "name": "f", "arguments": {"a": 1}},
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c3", "name": "g", "input": "free text"},
            {"type": "function_call_output", "call_id": "c1", "output": "1"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": "",
                "id": "fco_1",
                "status": "completed",
            },
            {
                "type": "custom_tool_call_output",
                "call_id": "c3",
                "output": [{"type": "input_text", "text": "1"}, {"type": "input_image", "file_id": "f"}],
            },
            {"type": "function_call_output", "call_id": "c4", "output": []},
        ]
    },
    {
        "input": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "e", "content": None},
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": ""}],
                "content": [
                    {"type": "reasoning_text", "text": ""},
                    {"type": "reasoning_text", "text": "t", "n": 1},
                ],
                "encrypted_content": "f",
                "status": "completed",
            },
            {"type": "reasoning", "id": "", "summary": [{"type": "odd"}, "odder"], "encrypted_content": ""},
        ]
    },
    {
        "input": [
            {"type": "item_reference", "id": "msg_1"},
            {"id": "msg_2"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
            {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBORw0="},
            {"type": "computer_call", "call_id": "c", "action": {"type": "click", "x": 1.0, "y": 2}},
            {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
            {"type": "local_shell_call", "call_id": "d", "action": {}},
            {"type": "local_shell_call_output", "id": "d", "output": "x"},
            {"type": "shell_call", "call_id": "e", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "e", "output": []},
            {"type": "apply_patch_call", "call_id": "f", "operation": {}},
            {"type": "apply_patch_call_output", "call_id": "f", "status": "completed"},
            {"type": "mcp_list_tools", "server_label": "s", "tools": []},
            {"type": "mcp_approval_request", "id": "a", "name": "n", "arguments": "{}"},
            {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
            {"type": "mcp_call", "id": "m", "name": "n", "arguments": "{}", "output": None},
            {"type": "code_interpreter_call", "id": "ci", "code": "1", "outputs": []},
            {"type": "file_search_call", "id": "fs", "queries": ["q"], "results": None},
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
            {"type": "compaction_trigger"},
            {"type": "never heard of", "x": 1},
        ]
    },
    {
        "tools": [
            {
                "type": "function",
                "name": "f",
                "parameters": {"type": "object"},
                "strict": True,
                "defer_loading": True,
            },
            {"type": "function", "name": "g", "parameters": None, "strict": None, "description": ""},
            {
                "type": "custom",
                "name": "c",
                "description": "d",
                "format": {"type": "grammar", "syntax": "lark"},
            },
            {"type": "custom", "name": "d", "format": {"type": "grammar", "grammar": {"syntax": "regex"}}},
            {"type": "custom", "name": "e", "format": {"type": "text"}},
            {"type": "custom", "name": "f"},
            {"type": "web_search", "filters": {"allowed_domains": ["x.test"]}},
            {"type": "mcp", "server_label": "s", "server_url": "https://x.test", "require_approval": "never"},
        ],
        "tool_choice": {"type": "custom", "name": "c"},
        "parallel_tool_calls": False,
    },
    {
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}],
        }
    },
    {
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "mcp", "server_label": "s"}],
        }
    },
    {"tool_choice": {"type": "web_search"}},
    {"tool_choice": {"type": "mcp", "server_label": "s", "name": "n"}},
    {"tool_choice": None, "tools": None, "text": None, "reasoning": None, "parallel_tool_calls": None},
    {"tool_choice": "required", "text": {"verbosity": "low", "format": {"type": "json_object"}}},
    {
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": None, "description": "d"}
        }
    },
    {"text": {"format": {"type": "grammar", "x": 1}, "verbosity": None, "more": 1}},
    {"text": {"format": {"type": "text"}}, "stream": False, "stream_options": None, "user": "u"},
    {
        "reasoning": {"effort": "high", "summary": "auto", "context": None},
        "safety_identifier": "s",
        "user": "u",
    },
    {"reasoning": {"effort": None, "generate_summary": "auto"}, "include": ["message.output_text.logprobs"]},
    {"include": ["reasoning.encrypted_content"], "top_logprobs": 3, "temperature": 0.5, "top_p": 1},
    {"store": True, "background": False, "conversation": {"id": "conv_1"}, "truncation": "auto"},
    {"max_output_tokens": 5, "max_tool_calls": 2, "prompt_cache_key": "k", "service_tier": "flex"},
    {"metadata": {"a": "b"}, "context_management": [{"type": "compaction"}], "prompt": {"id": "pmpt_1"}},
]


@pytest.mark.parametrize("members", SHAPES, ids=str)
def test_odd_shapes(members: dict[str, Any]) -> None:
    body = {"model": "m", "input": "hi", **members}
    decoded = codec.decode_request(json.dumps(body).encode())
    written = codec.encode_request(decoded.request, "m", stream=False)
    # stream_options are for streams only.
    body.pop("stream_options", None)
    assert json.loads(written.body) == body
    assert written.warnings == ()


def test_schemas_keep_their_bytes() -> None:
    schema = b'{ "type":"object", "b": 1.0, "a": 12345678901234567890123, "c":"\\u00e9" }'
    body = (
        b'{"model":"m","input":"?","tools":[{"type":"function","name":"f","parameters":%b}],'
        b'"text":{"format":{"type":"json_schema","name":"n","schema":%b}}}' % (schema, schema)
    )
    request = codec.decode_request(body).request
    assert request.tools[0].function.parameters_json == schema.decode()
    assert request.response_format.json_schema.schema_json == schema.decode()
    assert codec.encode_request(request, "m", stream=False).body.count(schema) == 2
