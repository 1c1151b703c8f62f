"""What becomes of a request that did not come in Gemini's words, and of one whose words are odd; cases of ours."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_REFUSE, GenerateRequest
from llmhub.types.v1.content_pb2 import (
    MEDIA_KIND_DOCUMENT,
    MEDIA_KIND_IMAGE,
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    TOOL_KIND_CUSTOM,
    CacheMark,
    Media,
    Message,
    OpaquePart,
    OpaqueState,
    Part,
    Reasoning,
    ToolCall,
    ToolResult,
)
from llmhub.types.v1.generation_pb2 import (
    TOOL_CHOICE_MODE_ALLOWED,
    TOOL_CHOICE_MODE_AUTO,
    TOOL_CHOICE_MODE_NAMED,
    TOOL_CHOICE_MODE_NONE,
    TOOL_CHOICE_MODE_REQUIRED,
    GenerationOptions,
    ToolChoice,
)
from services.dialects.gemini import GeminiCodec
from services.runtime.errors import ParameterUnsupported

codec = GeminiCodec()
PNG = b"\x89PNG\r\n\x1a\n0000"
QUESTION = Message(role=ROLE_USER, parts=[Part(text="x")])


def written(request: GenerateRequest, model: str = "gemini-2.5-pro") -> tuple[dict[str, Any], list[str]]:
    """The body, and the fields of which something was lost."""
    wire = codec.encode_request(request, model, stream=False)
    body: dict[str, Any] = json.loads(wire.body)
    return body, [warning.field for warning in wire.warnings]


def said(*messages: Message, model: str = "gemini-2.5-pro") -> tuple[dict[str, Any], list[str]]:
    return written(GenerateRequest(messages=messages), model)


def read(body: dict[str, Any]) -> GenerateRequest:
    return codec.decode_request(json.dumps(body).encode()).request


def call(call_id: str = "c1", arguments: str = '{"a": 1}', **more: Any) -> Part:
    return Part(tool_call=ToolCall(id=call_id, name="f", arguments=arguments, **more))


def result(call_id: str, text: str, **more: Any) -> Message:
    return Message(
        role=ROLE_TOOL, parts=[Part(tool_result=ToolResult(call_id=call_id, parts=[Part(text=text)], **more))]
    )


def test_instructions_stand_first_or_are_said_by_the_user() -> None:
    system = Message(role=ROLE_SYSTEM, parts=[Part(text="be brief")])
    body, lost = said(system, QUESTION)
    assert body == {
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [{"role": "user", "parts": [{"text": "x"}]}],
    }
    assert lost == []
    body, lost = said(QUESTION, system)
    assert [turn["role"] for turn in body["contents"]] == ["user", "user"]
    assert lost == ["messages[1]"]
    body, lost = said(system)
    assert body["contents"] == [{"role": "user", "parts": [{"text": "be brief"}]}]


def test_results_of_parallel_calls_share_a_turn_and_find_their_names() -> None:
    asked_both = Message(role=ROLE_ASSISTANT, parts=[call("c1"), call("c2")])
    body, lost = said(QUESTION, asked_both, result("c1", "one"), result("c2", '{"n": 2}'))
    assert body["contents"][2] == {
        "role": "user",
        "parts": [
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
            {"functionResponse": {"id": "c2", "name": "f", "response": {"n": 2}}},
        ],
    }
    assert lost == []
    _, lost = said(QUESTION, result("c9", "lonely"))
    assert lost == ["messages[1].parts[0].tool_result.name"]


@pytest.mark.parametrize(
    "text", ["plain", '{"n": 2}', '{"output": "x"}', '{"error": 1}', "[1]", "", "null", "3"]
)
def test_what_a_tool_said_survives(text: str) -> None:
    asked_once = Message(role=ROLE_ASSISTANT, parts=[call()])
    body, _ = said(QUESTION, asked_once, result("c1", text))
    again = read(body).messages[2].parts[0].tool_result
    assert (again.call_id, again.name) == ("c1", "f")
    assert [part.text for part in again.parts] == [text]
    body, _ = said(QUESTION, asked_once, result("c1", text, is_error=True))
    again = read(body).messages[2].parts[0].tool_result
    assert again.is_error
    assert again.parts[0].text == text


def test_ids_that_are_ours_are_taken_off_again() -> None:
    body = {
        "contents": [
            {"role": "user", "parts": [{"text": "x"}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "f", "args": {}}}],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "f", "response": {"output": "1"}}},
                    {"functionResponse": {"name": "f", "response": {"output": "2"}}},
                ],
            },
        ]
    }
    request = read(body)
    calls = [part.tool_call for part in request.messages[1].parts]
    assert all(each.id_generated for each in calls)
    assert [part.tool_result.call_id for part in request.messages[2].parts] == [each.id for each in calls]
    assert written(request)[0] == body
    # A client of another dialect sends the ids back without saying whose they are.
    for each in calls:
        each.id_generated = False
    for message in request.messages:
        for part in message.parts:
            part.ClearField("extensions")
    assert "id" not in json.dumps(written(request)[0])


def test_signatures_go_back_to_their_origin_only() -> None:
    own = OpaqueState(data=b"sig==", dialect="gemini", kind="thought_signature")
    other = OpaqueState(data=b"sig", dialect="anthropic", kind="signature")
    signed, foreign = call(), call()
    signed.state.CopyFrom(own)
    foreign.state.CopyFrom(other)
    body, lost = said(QUESTION, Message(role=ROLE_ASSISTANT, parts=[signed, foreign]), model="gemini-3-pro")
    first, second = body["contents"][1]["parts"]
    assert first["thoughtSignature"] == "sig=="
    assert "thoughtSignature" not in second
    assert lost == ["messages[1].parts[1].state"]
    thought = Part(reasoning=Reasoning(text="hm"), state=other)
    body, lost = said(QUESTION, Message(role=ROLE_ASSISTANT, parts=[thought, Part(text="y")]))
    assert body["contents"][1]["parts"] == [{"text": "y"}]
    assert lost == ["messages[1].parts[0]"]
    plain = Part(reasoning=Reasoning(text="hm"))
    body, lost = said(QUESTION, Message(role=ROLE_ASSISTANT, parts=[plain]))
    assert body["contents"][1]["parts"] == [{"text": "hm", "thought": True}]


@pytest.mark.parametrize(
    ("model", "count"), [("gemini-2.5-pro", 0), ("gemini-3-pro", 1), ("gemini-flash-latest", 1)]
)
def test_unsigned_calls_are_signed_for_models_that_demand_it(model: str, count: int) -> None:
    turn = Message(role=ROLE_ASSISTANT, parts=[call("c1"), call("c2")])
    body, lost = said(QUESTION, turn, result("c1", "1"), result("c2", "2"), model=model)
    assert json.dumps(body).count("skip_thought_signature_validator") == count
    assert lost == []
    if count:
        assert "thoughtSignature" in body["contents"][1]["parts"][0]
    native = read({"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f"}}]}]})
    assert "skip_thought" not in json.dumps(written(native, model)[0])


@pytest.mark.parametrize(
    ("arguments", "sent", "lost"),
    [
        ("", None, []),
        ("  ", None, []),
        ("null", None, []),
        ('{"a": 1}', {"a": 1}, []),
        ("[1]", {"input": [1]}, ["messages[1].parts[0].tool_call.arguments"]),
        ('{"a": ', {"input": '{"a": '}, ["messages[1].parts[0].tool_call.arguments"]),
    ],
)
def test_arguments_are_an_object(arguments: str, sent: Any, lost: list[str]) -> None:
    body, fields = said(QUESTION, Message(role=ROLE_ASSISTANT, parts=[call(arguments=arguments)]))
    assert body["contents"][1]["parts"][0]["functionCall"].get("args") == sent
    assert fields == lost


def test_free_text_tools_are_functions_and_come_back() -> None:
    request = GenerateRequest(messages=[QUESTION])
    request.tools.add().custom.name = "patch"
    turn = request.messages.add(role=ROLE_ASSISTANT)
    turn.parts.append(
        Part(tool_call=ToolCall(id="c1", name="patch", arguments="free", kind=TOOL_KIND_CUSTOM))
    )
    request.messages.append(result("c1", "done"))
    request.tool_choice.CopyFrom(ToolChoice(mode=TOOL_CHOICE_MODE_NAMED, names=["patch"]))
    body, lost = written(request)
    assert lost == ["tools[0]"]
    names = [
        body["tools"][0]["functionDeclarations"][0]["name"],
        body["contents"][1]["parts"][0]["functionCall"]["name"],
        body["contents"][2]["parts"][0]["functionResponse"]["name"],
        *body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"],
    ]
    assert set(names) == {"patch__llmhub_text"}
    again = read(body)
    assert again.tools[0].custom.name == "patch"
    assert again.messages[1].parts[0].tool_call == request.messages[1].parts[0].tool_call
    assert again.messages[2].parts[0].tool_result.name == "patch"


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(mode=TOOL_CHOICE_MODE_AUTO), {"mode": "AUTO"}),
        (ToolChoice(mode=TOOL_CHOICE_MODE_NONE), {"mode": "NONE"}),
        (ToolChoice(mode=TOOL_CHOICE_MODE_REQUIRED), {"mode": "ANY"}),
        (
            ToolChoice(mode=TOOL_CHOICE_MODE_NAMED, names=["f"]),
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            ToolChoice(mode=TOOL_CHOICE_MODE_REQUIRED, names=["f", "g"]),
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
        ),
        (
            ToolChoice(mode=TOOL_CHOICE_MODE_ALLOWED, names=["f"]),
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_tool_choices(choice: ToolChoice, config: dict[str, Any]) -> None:
    body, lost = written(GenerateRequest(messages=[QUESTION], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": config}
    assert lost == []
    assert read(body).tool_choice == choice


@pytest.mark.parametrize(
    ("media", "part", "lost"),
    [
        (
            Media(kind=MEDIA_KIND_IMAGE, data=PNG),
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgowMDAw"}},
            [],
        ),
        (
            Media(kind=MEDIA_KIND_IMAGE, url="data:image/gif;base64,R0lGOA=="),
            {"inlineData": {"mimeType": "image/gif", "data": "R0lGOA=="}},
            [],
        ),
        (
            Media(kind=MEDIA_KIND_IMAGE, url="https://x.test/a.JPG?w=1"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.test/a.JPG?w=1"}},
            [],
        ),
        (Media(kind=MEDIA_KIND_DOCUMENT, file_id="gs://b/o"), {"fileData": {"fileUri": "gs://b/o"}}, []),
        (Media(kind=MEDIA_KIND_DOCUMENT, file_id="file-abc"), None, ["media"]),
        (Media(kind=MEDIA_KIND_IMAGE, url="data:image/png;base64,!"), None, ["media"]),
        (
            Media(kind=MEDIA_KIND_DOCUMENT, text="né", title="T"),
            {"inlineData": {"mimeType": "text/plain", "data": "bsOp"}},
            ["media.title"],
        ),
        (
            Media(kind=MEDIA_KIND_IMAGE, data=PNG, detail="high"),
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgowMDAw"}},
            ["media.detail"],
        ),
    ],
)
def test_media(media: Media, part: Any, lost: list[str]) -> None:
    body, fields = said(Message(role=ROLE_USER, parts=[Part(media=media), Part(text="?")]))
    assert body["contents"][0]["parts"][:-1] == ([] if part is None else [part])
    assert fields == [f"messages[0].parts[0].{field}" for field in lost]


def test_media_of_a_tools_result() -> None:
    shown = Part(media=Media(kind=MEDIA_KIND_IMAGE, data=PNG, mime_type="image/png"))
    turn = Message(
        role=ROLE_TOOL, parts=[Part(tool_result=ToolResult(call_id="c1", parts=[Part(text="see"), shown]))]
    )
    chat = (QUESTION, Message(role=ROLE_ASSISTANT, parts=[call()]), turn)
    body, lost = said(*chat, model="gemini-3-pro")
    (only,) = body["contents"][2]["parts"]
    assert list(only["functionResponse"]["parts"][0]) == ["inlineData"]
    assert lost == []
    again = read(body).messages[2].parts[0].tool_result.parts
    assert [part.WhichOneof("kind") for part in again] == ["text", "media"]
    body, lost = said(*chat, model="gemini-2.5-pro")
    assert [list(part) for part in body["contents"][2]["parts"]] == [["functionResponse"], ["inlineData"]]
    assert lost == ["messages[2].parts[0].tool_result"]


def test_what_gemini_has_no_word_for_is_reported_or_refused() -> None:
    request = GenerateRequest(messages=[QUESTION], metadata={"a": "b"})
    request.options.CopyFrom(
        GenerationOptions(
            verbosity="low",
            end_user_id="u",
            prompt_cache_key="k",
            logit_bias={"1": 1.0},
            seed=1 << 40,
            stop_sequences=list("abcdef"),
            service_tier="batch",
        )
    )
    request.messages[0].name = "bob"
    request.messages[0].parts[0].cache.CopyFrom(CacheMark())
    request.messages[0].parts.append(
        Part(opaque=OpaquePart(dialect="anthropic", type="server_tool_use", json="{}"))
    )
    request.tools.add().hosted.dialect = "openai"
    tool = request.tools.add()
    tool.function.name = "f"
    tool.function.strict = True
    request.tool_choice.parallel = False
    body, lost = written(request)
    assert lost == [
        "messages[0].name",
        "messages[0].parts[0].cache",
        "messages[0].parts[1]",
        "tools[0]",
        "tools[1].function.strict",
        "tool_choice.parallel",
        "options.seed",
        "options.stop_sequences",
        "options.logit_bias",
        "options.verbosity",
        "options.end_user_id",
        "options.prompt_cache_key",
        "options.service_tier",
        "metadata",
    ]
    assert body["generationConfig"] == {"stopSequences": list("abcde")}
    assert body["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    request.unsupported = UNSUPPORTED_POLICY_REFUSE
    with pytest.raises(ParameterUnsupported):
        codec.encode_request(request, "m", stream=False)
