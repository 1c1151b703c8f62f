"""encode(decode(x)) equals x by value, for every recorded request and whole answer."""

import json

import pytest

from services.dialects.codec import ChatCodec, CountCodec, EmbeddingCodec
from services.dialects.gemini import GeminiCodec
from services.runtime.errors import RequestInvalid
from tests.dialects.gemini.recorded import (
    CONTENT,
    COUNTS,
    EMBEDDINGS,
    FAILED,
    STREAMS,
    WHOLE,
    body_of,
)
from tests.support.exceptions import REFUSED, UNTOLD_DETAILS
from tests.support.exchanges import Exchange

codec = GeminiCodec()
chat: ChatCodec = codec
count: CountCodec = codec
embedding: EmbeddingCodec = GeminiCodec(embedding=None)

WITH_CALL = (
    b'{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":%b}}]},'
    b'{"role":"user","parts":[{"functionResponse":{"name":"f","response":%b}}]}]}'
)


def test_recordings_are_there() -> None:
    found = (len(CONTENT), len(COUNTS), len(EMBEDDINGS), len(STREAMS), len(WHOLE), len(FAILED))
    assert found == (64, 3, 5, 25, 34, 6)


@pytest.mark.parametrize("exchange", [each for each in CONTENT if each.name not in REFUSED], ids=str)
def test_request(exchange: Exchange) -> None:
    read = chat.decode_request(body_of(exchange))
    assert not read.stream
    written = chat.encode_request(read.request, exchange.model, stream=False)
    assert json.loads(written.body) == exchange.body
    assert written.warnings == ()
    assert written.path == f"/v1beta/models/{exchange.model}:generateContent"


@pytest.mark.parametrize("exchange", [each for each in CONTENT if each.name in REFUSED], ids=str)
def test_refused_request(exchange: Exchange) -> None:
    with pytest.raises(RequestInvalid) as caught:
        chat.decode_request(body_of(exchange))
    assert [each.field for each in caught.value.violations] == ["contents[0].role"]
    assert exchange.status == 400


@pytest.mark.parametrize("exchange", [each for each in CONTENT if each.name not in REFUSED], ids=str)
def test_request_written_for_the_contract_reads_back_the_same(exchange: Exchange) -> None:
    """The second reading sees the same request, also where the first one's extensions are lost."""
    read = chat.decode_request(body_of(exchange)).request
    again = chat.decode_request(chat.encode_request(read, "m", stream=True).body).request
    assert again == read


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_count_request(exchange: Exchange) -> None:
    written = count.encode_count_request(count.decode_count_request(body_of(exchange)), exchange.model)
    assert json.loads(written.body) == exchange.body
    assert written.path == f"/v1beta/models/{exchange.model}:countTokens"


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_answer(exchange: Exchange) -> None:
    written = chat.encode_response(chat.decode_response(exchange.answer))
    assert json.loads(written) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", COUNTS, ids=str)
def test_count_answer(exchange: Exchange) -> None:
    written = count.encode_count_response(count.decode_count_response(exchange.answer))
    assert json.loads(written) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", EMBEDDINGS, ids=str)
def test_embeddings(exchange: Exchange) -> None:
    request = embedding.decode_embed_request(body_of(exchange))
    written = embedding.encode_embed_request(request, exchange.model)
    assert json.loads(written.body) == exchange.body
    assert written.path == f"/v1beta/models/{exchange.model}:{exchange.endpoint.removeprefix('gemini.')}"
    if exchange.status >= 400:
        return
    answer = embedding.encode_embed_response(embedding.decode_embed_response(exchange.answer))
    assert json.loads(answer) == json.loads(exchange.answer)


@pytest.mark.parametrize("exchange", FAILED, ids=str)
def test_error(exchange: Exchange) -> None:
    written = chat.encode_error(chat.decode_error(exchange.status, {}, exchange.answer), "r")
    assert written.status == exchange.status
    again, recorded = json.loads(written.body)["error"], json.loads(exchange.answer)["error"]
    # Beside what Google said stand llmhub's reason and the request's id.
    details = again.pop("details")
    lost = [each for each in recorded.pop("details", []) if each not in details]
    assert bool(lost) == (exchange.name[: len("gemini/000")] in UNTOLD_DETAILS)
    assert not any("retryDelay" in each for each in lost)
    assert again == recorded


def test_arguments_and_results_keep_their_text() -> None:
    text = b'{"z": 1, "a": 1.0, "big": 123456789012345678901234567890, "e": 1e2, "u": "\\u00e9"}'
    request = codec.decode_request(WITH_CALL % (text, text)).request
    assert request.messages[0].parts[0].tool_call.arguments == text.decode()
    assert request.messages[1].parts[0].tool_result.parts[0].text == text.decode()
    assert codec.encode_request(request, "m", stream=False).body.count(text) == 2


def test_json_schema_keeps_its_text() -> None:
    schema = b'{"type":"object", "properties":{"b":{"type":"number","maximum":1.0},"a":{"const":1E2}}}'
    tool = b'{"functionDeclarations":[{"name":"f","parametersJsonSchema":%b}]}' % schema
    request = codec.decode_request(b'{"contents":[{"parts":[{"text":"x"}]}],"tools":[%b]}' % tool).request
    assert request.tools[0].function.parameters_json == schema.decode()
    assert schema in codec.encode_request(request, "m", stream=False).body
