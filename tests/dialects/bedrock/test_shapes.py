"""Blocks and members that no recording shows, written from the service's description: read, kept and written again."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import MEDIA_KIND_AUDIO, MEDIA_KIND_DOCUMENT, MEDIA_KIND_VIDEO, Part
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import codec

POINT: dict[str, Any] = {"cachePoint": {"type": "default"}}
PLACE = {"s3Location": {"uri": "s3://bucket/x", "bucketOwner": "000000000000"}}


def read(body: dict[str, Any]) -> GenerateRequest:
    """The request, which is written as it was and which boto3 accepts."""
    request = codec.decode_request(json.dumps(body).encode()).request
    written = json.loads(codec.encode_request(request, "us.m.x", stream=False).body)
    assert written == body
    official.serialised("Converse", "us.m.x", written)
    official.accepted("Converse", written)
    return request


def block(value: dict[str, Any], role: str = "user") -> Part:
    """The part that a block becomes."""
    (part,) = read({"messages": [{"role": role, "content": [value]}]}).messages[0].parts
    return part


def test_cache_points_mark_what_is_before_them() -> None:
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    tool = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
    request = read(
        {
            "system": [{"text": "s"}, POINT],
            "messages": [
                {"role": "user", "content": [POINT, {"text": "a"}, hour, POINT, {"text": "b"}]},
                {"role": "assistant", "content": [{"text": "c"}, POINT]},
            ],
            "toolConfig": {"tools": [POINT, tool, hour, POINT]},
        }
    )
    assert request.messages[0].parts[0].HasField("cache")
    kinds = [part.WhichOneof("kind") for part in request.messages[1].parts]
    assert kinds == ["opaque", "text", "opaque", "text"]
    assert request.messages[1].parts[1].cache.ttl == "1h"
    assert [tool.WhichOneof("kind") for tool in request.tools] == ["hosted", "function", "hosted"]
    assert request.tools[1].cache.ttl == "1h"


@pytest.mark.parametrize(
    ("kind", "value", "mime_type"),
    [
        (MEDIA_KIND_VIDEO, {"video": {"format": "three_gp", "source": PLACE}}, "video/3gpp"),
        (MEDIA_KIND_VIDEO, {"video": {"format": "mpg", "source": {"bytes": "eA=="}}}, "video/mpeg"),
        (MEDIA_KIND_VIDEO, {"video": {"format": "mpeg", "source": {"bytes": "eA=="}}}, "video/mpeg"),
        (MEDIA_KIND_AUDIO, {"audio": {"format": "mp3", "source": PLACE}}, "audio/mpeg"),
        (MEDIA_KIND_AUDIO, {"audio": {"format": "mpga", "source": {"bytes": "eA=="}}}, "audio/mpeg"),
        (
            MEDIA_KIND_DOCUMENT,
            {"document": {"format": "docx", "name": "a b", "source": {"bytes": "eA=="}, "context": ""}},
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (MEDIA_KIND_DOCUMENT, {"document": {"name": "Same", "source": {"content": [{"text": "x"}]}}}, ""),
    ],
)
def test_media(kind: int, value: dict[str, Any], mime_type: str) -> None:
    media = block(value).media
    assert (media.kind, media.mime_type) == (kind, mime_type)


def test_a_place_in_s3() -> None:
    part = block({"image": {"format": "png", "source": PLACE}})
    assert part.media.url == "s3://bucket/x"
    assert "000000000000" in part.extensions["bedrock"]


def test_names_of_documents_are_left_alone() -> None:
    document = {"document": {"format": "pdf", "name": "Same", "source": {"bytes": "eA=="}}}
    read({"messages": [{"role": "user", "content": [document, document]}]})


@pytest.mark.parametrize(
    "value",
    [
        {
            "searchResult": {
                "source": "s",
                "title": "t",
                "content": [{"text": "x"}],
                "citations": {"enabled": True},
            }
        },
        {"toolAddition": {"tool": {"type": "t", "name": "n"}}},
        {"toolRemoval": {"tool": {"name": "n"}}},
        {"toolUse": {"toolUseId": "t", "name": "n", "input": {"a": 1}, "type": "server_tool_use"}},
        {"toolResult": {"toolUseId": "t", "content": [{"json": {}}], "type": "n_result"}},
    ],
)
def test_blocks_that_nobody_else_has_stay_whole(value: dict[str, Any]) -> None:
    part = block(value)
    assert part.opaque.dialect == "bedrock"
    assert json.loads(part.opaque.json) == value


def test_guarded_content_is_content() -> None:
    part = block({"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}})
    assert part.text == "x"
    image = block({"guardContent": {"image": {"format": "jpeg", "source": {"bytes": "eA=="}}}})
    assert image.media.data == b"x"
    read({"system": [{"guardContent": {"text": {"text": "x"}}}]})


def test_results_of_every_kind() -> None:
    content: list[dict[str, Any]] = [
        {"text": ""},
        {"json": {"a": [1.5, None]}},
        {"json": "text"},
        {"image": {"format": "gif", "source": {"bytes": "eA=="}}},
        {"document": {"format": "md", "name": "n", "source": {"text": "x"}}},
        {"video": {"format": "mkv", "source": PLACE}},
        {"searchResult": {"source": "s", "title": "t", "content": []}},
    ]
    for status in ({"status": "error"}, {"status": "success"}, {}):
        part = block({"toolResult": {"toolUseId": "t", "content": content, **status}})
        assert part.tool_result.HasField("is_error") == bool(status)
        assert part.tool_result.is_error == (status.get("status") == "error")
    assert json.loads(part.tool_result.parts[1].text) == {"a": [1.5, None]}
    assert json.loads(part.tool_result.parts[2].text) == "text"


def test_a_turn_of_results_and_words_keeps_its_order() -> None:
    result = {"toolResult": {"toolUseId": "t", "content": []}}
    request = read(
        {
            "messages": [
                {"role": "user", "content": [{"text": "a"}, result, POINT, {"text": "b"}, result]},
                {"role": "user", "content": [result, {"text": "c"}]},
                {"role": "user", "content": []},
                {"role": "assistant", "content": [{"text": "d"}]},
                {"role": "assistant", "content": [{"text": "e"}]},
                {"role": "system", "content": [{"text": "f"}]},
            ]
        }
    )
    assert len(request.messages) == 10


@pytest.mark.parametrize(
    "members",
    [
        {"toolConfig": {"tools": [], "toolChoice": {"auto": {}}}},
        {"toolConfig": {"tools": [{"systemTool": {"name": "n"}}], "toolChoice": {"tool": {"name": "n"}}}},
        {"inferenceConfig": {"stopSequences": []}},
        {"inferenceConfig": {}, "system": [], "messages": []},
        {"serviceTier": {"type": "reserved"}, "performanceConfig": {"latency": "standard"}},
        {"requestMetadata": {"a": "b"}, "promptVariables": {"v": {"text": "x"}}},
        {"additionalModelRequestFields": {"thinking": {"type": "enabled"}, "n": 1.0}},
        {"additionalModelResponseFieldPaths": ["/a"], "inferenceConfig": {"stopSequences": ["x"]}},
        {"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1", "trace": "enabled_full"}},
        {"outputConfig": {"effort": "max"}},
        {"outputConfig": {}},
        {
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"schema": "?", "name": ""}},
                }
            }
        },
    ],
)
def test_members_of_a_request(members: dict[str, Any]) -> None:
    request = codec.decode_request(json.dumps(members).encode()).request
    written = codec.encode_request(request, "us.m.x", stream=False)
    assert json.loads(written.body) == members
    assert written.warnings == ()


@pytest.mark.parametrize(
    "content",
    [
        [{"citationsContent": {}}],
        [{"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": []}}],
        [
            {
                "citationsContent": {
                    "content": [],
                    "citations": [{"location": {"web": {"url": "u"}}, "source": "s"}],
                }
            }
        ],
        [
            {
                "citationsContent": {
                    "citations": [{"sourceContent": [{"text": "a"}, {"text": ""}]}, {"location": {"new": {}}}]
                }
            }
        ],
        [{"reasoningContent": {"reasoningText": {"text": "", "signature": ""}}}],
        [{"reasoningContent": {"redactedContent": "not canonical"}}],
        [{"image": {"format": "png", "source": {"bytes": "eA=="}, "error": {"message": "m"}}}],
        [{"audio": {"format": "wav", "source": {"s3Location": {"uri": "s3://b"}}}}],
        [{"newBlock": {"a": 1}}, {"text": 1}],
    ],
)
def test_content_of_an_answer(content: list[Any]) -> None:
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}
    response = codec.decode_response(json.dumps(body).encode())
    assert json.loads(codec.encode_response(response)) == body
