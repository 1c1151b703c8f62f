"""What a door that keeps responses has to work with."""

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from services.dialects.openai_responses import ResponsesCodec, stored
from services.runtime.errors import RequestInvalid
from tests.dialects.openai_responses import official
from tests.dialects.openai_responses.traffic import STREAMS
from tests.support.exchanges import random_pieces

codec = ResponsesCodec()


def test_what_a_body_asks() -> None:
    body: dict[str, Any] = {"model": "m", "input": "?"}
    assert stored.keeping(json.dumps(body).encode()) == stored.Keeping(
        store=True, previous_response_id="", background=False, stream=False, conversation=""
    )
    body |= {"store": False, "previous_response_id": "r", "background": True, "stream": True}
    assert stored.keeping(json.dumps({**body, "conversation": {"id": "c"}}).encode()) == stored.Keeping(
        store=False, previous_response_id="r", background=True, stream=True, conversation="c"
    )
    with pytest.raises(RequestInvalid):
        stored.keeping(b"[]")


def test_a_conversation_goes_on() -> None:
    first = {"model": "m", "input": "my name is Ann", "instructions": "i", "store": True}
    answer = GenerateResponse(response_id="chatcmpl-1", provider_model="p")
    answer.candidates.add().parts.add().text = "hello Ann"
    kept = stored.response_object(answer, json.dumps(first).encode())
    assert kept["store"] is True
    assert kept["instructions"] == "i"
    assert kept["output"][0]["content"][0]["text"] == "hello Ann"
    items = stored.input_items(json.dumps(first).encode(), kept["id"])
    assert items == [
        {
            "type": "message",
            "id": items[0]["id"],
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_text", "text": "my name is Ann"}],
        }
    ]
    second = b'{"model":"m","input":"who am I?","previous_response_id":"x","store":true,"temperature":1.0}'
    body = stored.continued(second, [*items, *stored.output_items(kept)])
    assert b'"temperature":1.0' in body
    decoded = codec.decode_request(body).request
    assert [message.parts[0].text for message in decoded.messages] == [
        "my name is Ann",
        "hello Ann",
        "who am I?",
    ]
    assert "openai-responses" in decoded.extensions
    assert "previous_response_id" not in decoded.extensions["openai-responses"]
    sent = json.loads(codec.encode_request(decoded, "m", stream=False).body)
    assert [each["role"] for each in sent["input"]] == ["user", "assistant", "user"]
    assert not any("id" in each for each in sent["input"])


def test_a_kept_response_is_one_by_the_sdk() -> None:
    body = b'{"model":"m","input":"?","tools":[{"type":"function","name":"f","parameters":{}}]}'
    queued = stored.queued("resp_1", "m", 5, body)
    read = official.whole(json.dumps(queued).encode())
    assert (read.id, read.status, read.background, read.output) == ("resp_1", "queued", True, [])
    assert read.tools[0].type == "function"
    assert official.whole(json.dumps(stored.cancelled(queued)).encode()).status == "cancelled"


def test_the_provider_is_not_asked_to_keep_too() -> None:
    body = b'{"model":"m","input":"?","store":true,"background":false,"truncation":"auto"}'
    request = codec.decode_request(body).request
    stored.without_state(request)
    assert json.loads(codec.encode_request(request, "m", stream=False).body) == {
        "model": "m",
        "input": "?",
        "truncation": "auto",
    }


@pytest.mark.parametrize("exchange", STREAMS[:5], ids=str)
def test_a_stream_s_response_is_collected_in_passing(exchange: Any) -> None:
    collected = stored.Collected()
    for piece in random_pieces(exchange.answer, 7):
        collected.feed(piece)
    assert collected.ended
    assert collected.response is not None
    last = official.streamed(exchange.answer)[-1]
    assert hasattr(last, "response")
    assert collected.response["id"] == last.response.id
    assert len(stored.output_items(collected.response)) == len(last.response.output)
