"""Bodies as the service's own description allows them, recorded or not: encode(decode(x)) equals x by value."""

import json
import os
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.dialects.codec import DecodedRequest
from services.dialects.fold import fold
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import codec, payloads, stream
from tests.dialects.bedrock.shapes import instances, members

DELTAS: Final = {
    "text": "String",
    "citation": "CitationsDelta",
    "reasoningContent": "ReasoningContentBlockDelta",
    "toolUse": "ToolUseBlockDelta",
    "toolResult": "ToolResultBlocksDelta",
    "image": "ImageBlockDelta",
}
MORE: Final = int(os.environ.get("LLMHUB_FUZZ_EXAMPLES", "0"))
few = settings(
    max_examples=MORE or 25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


@few
@given(instances("Converse"))
def test_requests(body: dict[str, Any]) -> None:
    request = codec.decode_request(json.dumps(body).encode()).request
    written = json.loads(codec.encode_request(request, "m.x", stream=False).body)
    assert written == body
    official.serialised("Converse", "m.x", written)


@few
@given(instances("Converse", answer=True).filter(lambda body: body["output"].get("message") is not None))
def test_answers(body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    assert json.loads(codec.encode_response(codec.decode_response(data))) == body


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """A stream whose blocks take the deltas that they can take."""
    events: list[tuple[str, dict[str, Any]]] = [("messageStart", {"role": "assistant"})]
    for index in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["text", "reasoningContent", "toolUse", "toolResult", "image"]))
        if kind in {"toolUse", "toolResult", "image"}:
            start = draw(
                members(
                    {
                        "toolUse": "ToolUseBlockStart",
                        "toolResult": "ToolResultBlockStart",
                        "image": "ImageBlockStart",
                    }[kind]
                )
            )
            events.append(("contentBlockStart", {"contentBlockIndex": index, "start": {kind: start}}))
        names = [kind, "citation"] if kind == "text" else [kind]
        for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
            value = {name: draw(members(DELTAS[name]))}
            events.append(("contentBlockDelta", {"contentBlockIndex": index, "delta": value}))
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
    events.append(("messageStop", draw(members("MessageStopEvent"))))
    events.append(("metadata", draw(members("ConverseStreamMetadataEvent"))))
    return events


@few
@given(streams())
def test_streams(events: list[tuple[str, dict[str, Any]]]) -> None:
    data = stream(*events)
    decoder = codec.stream_decoder()
    decoded = decoder.feed(data)
    assert decoder.close() == []
    written = codec.stream_encoder(DecodedRequest(codec.decode_request(b"{}").request)).encode(decoded)
    assert payloads(written) == payloads(data)
    fold(decoded)
