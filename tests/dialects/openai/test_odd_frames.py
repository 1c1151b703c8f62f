"""Frames that no vendor sends but a broken one might: read without a fault, written back as they came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.codec import DecodedRequest
from services.dialects.openai import OpenAICodec
from tests.support.recordings import frames


@pytest.mark.parametrize("thinking", [[], [[]], [None], ["text"], [{"type": "text"}], [[False, "text"]]])
def test_thinking_of_another_shape(thinking: list[Any]) -> None:
    delta = {"content": [{"type": "thinking", "thinking": thinking}]}
    frame = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    frame["choices"] = [{"index": 0, "delta": delta, "finish_reason": None}]
    codec = OpenAICodec()
    events = codec.stream_decoder().feed(b"data: " + json.dumps(frame).encode() + b"\n\n")
    encoder = codec.stream_encoder(DecodedRequest(GenerateRequest(), stream=True, include_usage=True))
    assert frames(encoder.encode(events)) == [frame]
