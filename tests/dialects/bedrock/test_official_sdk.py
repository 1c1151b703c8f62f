"""What the contract says of requests and answers agrees with what boto3 makes of the same."""

import base64
import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.types.v1.content_pb2 import Citation, Part
from llmhub.types.v1.generation_pb2 import FinishReason
from llmhub.types.v1.usage_pb2 import MEASURE_VENDOR, Usage
from services.dialects.bedrock.stream_blocks import whole_block
from services.dialects.fold import fold
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import Recording, codec, one, recordings
from tests.support.exceptions import UNENDED
from tests.support.exchanges import random_pieces

CONVERSE = recordings("bedrock.converse", "bedrock.converse-stream")
WHOLE = [each for each in CONVERSE if each.status == 200 and not each.streaming]
STREAMS = [each for each in CONVERSE if each.streaming and each.name not in UNENDED]
FAILED = [
    each
    for each in recordings(*{"bedrock.count-tokens", *(each.endpoint for each in CONVERSE)})
    if each.status > 200
]
OPERATIONS = {
    "bedrock.converse": "Converse",
    "bedrock.converse-stream": "ConverseStream",
    "bedrock.count-tokens": "CountTokens",
}
REASONS = {
    "end_turn": FinishReason.FINISH_REASON_END,
    "max_tokens": FinishReason.FINISH_REASON_MAX_TOKENS,
    "tool_use": FinishReason.FINISH_REASON_TOOL_CALL,
    "guardrail_intervened": FinishReason.FINISH_REASON_CONTENT_FILTER,
}
KINDS = {
    "documentChar": "char_location",
    "documentPage": "page_location",
    "documentChunk": "content_block_location",
    "searchResultLocation": "search_result_location",
}


@pytest.mark.parametrize("exchange", CONVERSE, ids=str)
def test_request_is_what_boto3_sends(exchange: Recording) -> None:
    operation = OPERATIONS[exchange.endpoint]
    request = codec.decode_request(exchange.request).request
    written = codec.encode_request(request, exchange.model, stream=operation == "ConverseStream")
    path, body = official.serialised(operation, exchange.model, exchange.body)
    assert (written.path, json.loads(written.body)) == (path, body)
    official.accepted(operation, body)
    assert codec.decode_request(written.body).request == request


@pytest.mark.parametrize("exchange", recordings("bedrock.count-tokens"), ids=str)
def test_count_request_is_what_boto3_sends(exchange: Recording) -> None:
    model = exchange.model.removeprefix("us.")
    written = codec.encode_count_request(codec.decode_count_request(exchange.request), exchange.model)
    assert (written.path, json.loads(written.body)) == official.serialised(
        "CountTokens", model, exchange.body
    )


def test_boto3_refuses_what_is_wrong() -> None:
    """The oracle can say no."""
    with pytest.raises(AssertionError):
        official.serialised("Converse", "m", {"messages": [{"role": "user", "content": [{"txt": "x"}]}]})
    with pytest.raises(AssertionError):
        official.accepted("Converse", {"messages": [{"role": "robot", "content": []}]})


def part_by_contract(part: Part) -> tuple[Any, ...]:
    match part.WhichOneof("kind"):
        case "text":
            return ("text", part.text, [citation_by_contract(citation) for citation in part.citations])
        case "reasoning" if part.reasoning.redacted:
            return ("redacted", part.state.data)
        case "reasoning":
            return ("reasoning", part.reasoning.text, part.state.data.decode())
        case "tool_call":
            return ("call", part.tool_call.id, part.tool_call.name, json.loads(part.tool_call.arguments))
        case "opaque":
            return ("opaque", json.loads(part.opaque.json))
        case kind:
            raise AssertionError(kind)


def citation_by_contract(citation: Citation) -> tuple[Any, ...]:
    return (
        citation.kind,
        citation.title,
        citation.cited_text,
        citation.document_index,
        citation.start,
        citation.end,
    )


def part_by_boto3(block: dict[str, Any]) -> tuple[Any, ...]:
    ((name, value),) = block.items()
    match name:
        case "text":
            return ("text", value, [])
        case "citationsContent":
            texts = "".join(each["text"] for each in value["content"])
            return ("text", texts, [citation_by_boto3(each) for each in value["citations"]])
        case "reasoningContent" if "redactedContent" in value:
            return ("redacted", value["redactedContent"])
        case "reasoningContent":
            inner = value["reasoningText"]
            return ("reasoning", inner["text"], inner.get("signature", ""))
        case "toolUse" if value.get("type") != "server_tool_use":
            return ("call", value["toolUseId"], value["name"], value["input"])
        case _:
            return ("opaque", block)


def citation_by_boto3(each: dict[str, Any]) -> tuple[Any, ...]:
    ((name, place),) = each["location"].items()
    texts = "".join(piece["text"] for piece in each["sourceContent"])
    return (KINDS[name], each["title"], texts, place["documentIndex"], place["start"], place["end"])


def agree(
    response: GenerateResponse, blocks: list[dict[str, Any]], reason: str, usage: dict[str, Any]
) -> None:
    (candidate,) = response.candidates
    assert [part_by_contract(part) for part in candidate.parts] == [part_by_boto3(block) for block in blocks]
    assert candidate.finish.provider_reason == reason
    assert candidate.finish.reason == REASONS[reason]
    agree_on_usage(response.usage, usage)


def agree_on_usage(usage: Usage, theirs: dict[str, Any]) -> None:
    assert usage.measure == MEASURE_VENDOR
    assert usage.input_tokens == theirs["inputTokens"]
    assert usage.output_tokens == theirs["outputTokens"]
    assert usage.provider_total_tokens == theirs["totalTokens"]
    assert usage.HasField("cache_read_tokens") == ("cacheReadInputTokens" in theirs)
    assert usage.cache_read_tokens == theirs.get("cacheReadInputTokens", 0)
    writes = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens + usage.cache_write_tokens
    assert writes == theirs.get("cacheWriteInputTokens", 0)
    classes = usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + writes
    assert classes == theirs["totalTokens"]
    for detail in theirs.get("cacheDetails", ()):
        assert getattr(usage, f"cache_write_{detail['ttl']}_tokens") == detail["inputTokens"]


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_whole_answer(exchange: Recording) -> None:
    parsed = official.whole("Converse", exchange.answer)
    blocks = parsed["output"]["message"]["content"]
    agree(codec.decode_response(exchange.answer), blocks, parsed["stopReason"], parsed["usage"])


def folded(exchange: Recording) -> GenerateResponse:
    """The stream as a whole answer, opaque blocks included."""
    decoder = codec.stream_decoder()
    events = [event for piece in random_pieces(exchange.answer, 5) for event in decoder.feed(piece)]
    events += decoder.close()
    response = fold(events)
    for block, part in enumerate(response.candidates[0].parts):
        if part.HasField("opaque"):
            deltas = [event.block_delta for event in events if event.HasField("block_delta")]
            own = [delta.opaque_json for delta in deltas if delta.block == block]
            part.opaque.json = whole_block(part.opaque.json, own)
    return response


def accumulated(exchange: Recording) -> tuple[list[dict[str, Any]], str, dict[str, Any]]:
    """Content, stop reason and usage as an application puts boto3's events together."""
    blocks: dict[int, dict[str, Any]] = {}
    reason, usage = "", {}
    for name, value in official.events("ConverseStream", random_pieces(exchange.answer, 7)):
        match name:
            case "contentBlockStart":
                ((kind, start),) = value["start"].items()
                blocks[value["contentBlockIndex"]] = {
                    kind: {**start, "content": []} if kind == "toolResult" else {**start, "input": ""}
                }
            case "contentBlockDelta":
                _add(blocks.setdefault(value["contentBlockIndex"], {}), value["delta"])
            case "messageStop":
                reason = value["stopReason"]
            case "metadata":
                usage = value["usage"]
            case _:
                pass
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return [blocks[index] for index in sorted(blocks)], reason, usage


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    ((kind, value),) = delta.items()
    match kind:
        case "text" if "citationsContent" in block:
            block["citationsContent"]["content"].append({"text": value})
        case "text":
            block["text"] = block.get("text", "") + value
        case "citation":
            text = block.pop("text", None)
            content = [{"text": text}] if text is not None else []
            block.setdefault("citationsContent", {"content": content, "citations": []})["citations"].append(
                value
            )
        case "toolUse":
            block["toolUse"]["input"] += value["input"]
        case "toolResult":
            block["toolResult"]["content"] += value
        case "reasoningContent" if "redactedContent" in value:
            inner = block.setdefault("reasoningContent", {"redactedContent": b""})
            inner["redactedContent"] += value["redactedContent"]
        case "reasoningContent":
            inner = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
            for name, text in value.items():
                inner[name] = inner.get(name, "") + text


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_folded_stream(exchange: Recording) -> None:
    response = folded(exchange)
    agree(response, *accumulated(exchange))
    # And written as a whole answer, boto3 reads the same again.
    parsed = official.whole("Converse", codec.encode_response(response))
    agree(response, parsed["output"]["message"]["content"], parsed["stopReason"], parsed["usage"])


@pytest.mark.parametrize("exchange", STREAMS, ids=str)
def test_boto3_reads_our_frames(exchange: Recording) -> None:
    decoder = codec.stream_decoder()
    events = decoder.feed(exchange.answer)
    written = codec.stream_encoder(codec.decode_request(exchange.request)).encode(events)
    theirs = list(official.events("ConverseStream", [exchange.answer]))
    assert list(official.events("ConverseStream", [written])) == theirs


def test_an_exception_in_a_stream() -> None:
    exchange = one("bedrock/023")
    with pytest.raises(official.EventStreamError) as raised:
        list(official.events("ConverseStream", [exchange.answer]))
    response: dict[str, Any] = vars(raised.value)["response"]
    (event,) = codec.stream_decoder().feed(exchange.answer)
    error = event.finished.error
    assert error.provider.message == response["Error"]["Message"]
    assert error.provider.type.lower() == response["Error"]["Code"].lower()


@pytest.mark.parametrize("exchange", FAILED, ids=str)
def test_error(exchange: Recording) -> None:
    operation = OPERATIONS[exchange.endpoint]
    code, message = official.error(operation, exchange.status, exchange.headers, exchange.answer)
    error = codec.decode_error(exchange.status, exchange.headers, exchange.answer)
    assert error.upstream is not None
    assert error.upstream.message == message
    assert error.upstream.http_status == exchange.status
    assert (error.upstream.type or str(exchange.status)) == code
    again = codec.encode_error(error, "id")
    assert official.error(operation, again.status, dict(again.headers), again.body)[1]


def test_bytes_of_media_are_those_boto3_sends() -> None:
    request = codec.decode_request(one("bedrock/005").request).request
    (media,) = (
        part.media for message in request.messages for part in message.parts if part.HasField("media")
    )
    body = one("bedrock/005").body
    (sent,) = (block["image"] for block in body["messages"][0]["content"] if "image" in block)
    assert (media.data, media.mime_type) == (base64.b64decode(sent["source"]["bytes"]), "image/jpeg")
