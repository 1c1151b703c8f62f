"""What the fuzzers start from: recordings, cases of the tests, and recordings told in other dialects."""

from __future__ import annotations

import base64
import contextlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.anthropic import AnthropicCodec
from services.dialects.bedrock import BedrockCodec
from services.dialects.codec import ChatCodec, DecodedRequest
from services.dialects.cohere import CohereCodec
from services.dialects.gemini import Framing, GeminiCodec
from services.dialects.ollama import OllamaCodec
from services.dialects.openai import OpenAICodec
from services.dialects.openai_responses import ResponsesCodec
from services.runtime.errors import LlmhubError
from tests.support.exchanges import FOLDER

CODECS: Final[dict[str, ChatCodec]] = {
    "openai": OpenAICodec(),
    "openai-responses": ResponsesCodec(),
    "anthropic": AnthropicCodec(),
    "gemini": GeminiCodec(),
    "bedrock": BedrockCodec(),
    "cohere": CohereCodec(),
    "ollama": OllamaCodec(),
}
ARRAYS: Final = GeminiCodec(framing=Framing.ARRAY)
LONGEST: Final = 60_000
"""Longer seeds make few inputs a second; length is the mutations' business."""
_TOLD_ELSEWHERE: Final = 12
"""Answers and streams of one dialect that are written in each other one."""
_DIALECTS: Final = {
    "openai.chat": "openai",
    "openai.embeddings": "openai",
    "openai.responses": "openai-responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock.converse": "bedrock",
    "bedrock.count": "bedrock",
    "bedrock.invoke": "invoke",
    "cohere": "cohere",
    "ollama": "ollama",
}


@dataclass(slots=True)
class Seeds:
    """Bodies of one dialect, by what they are."""

    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    streams: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)


def corpus() -> dict[str, Seeds]:
    """All seeds by dialect; `invoke` holds what Bedrock wraps Anthropic's words in."""
    seeds: defaultdict[str, Seeds] = defaultdict(Seeds)
    for file in sorted(FOLDER.glob("*/*.json")):
        raw = json.loads(file.read_bytes())
        for prefix, dialect in _DIALECTS.items():
            if str(raw.get("endpoint")).startswith(prefix):
                _take(seeds[dialect], raw)
    _take_cases(seeds)
    _tell_elsewhere(seeds)
    return dict(seeds)


def _take(seeds: Seeds, raw: dict[str, Any]) -> None:
    response, asked = raw["response"], (raw["request"] or {}).get("body")
    if isinstance(asked, dict):
        _keep(seeds.requests, _text(asked))
    body, framing = response["body"], response["framing"]
    if framing == "eventstream":
        data = base64.b64decode(body)
    elif framing == "data-lines":
        data = b"".join(b"data: %b\n\n" % line.encode() for line in filter(None, body.split("\n")))
    else:
        data = body.encode() if isinstance(body, str) else _text(body)
    if response["status"] >= 400:
        _keep(seeds.errors, data)
    else:
        _keep(seeds.answers if framing == "json" else seeds.streams, data)


def _take_cases(seeds: defaultdict[str, Seeds]) -> None:
    from tests.dialects.cohere import cases as cohere  # noqa: PLC0415 - only the fuzzer needs the tests' cases
    from tests.dialects.ollama import cases as ollama  # noqa: PLC0415

    for name, cases in (("cohere", cohere), ("ollama", ollama)):
        into = seeds[name]
        into.requests += [_text(each) for each in cases.REQUESTS.values()]
        into.answers += [_text(each) for each in cases.ANSWERS.values()]
    seeds["cohere"].streams += [cohere.stream(each) for each in cohere.STREAMS.values()]
    seeds["ollama"].streams += [ollama.stream(each) for each in ollama.STREAMS.values()]


def _tell_elsewhere(seeds: dict[str, Seeds]) -> None:
    own = {
        name: (seeds[name].answers[:_TOLD_ELSEWHERE], seeds[name].streams[:_TOLD_ELSEWHERE])
        for name in CODECS
    }
    for origin, (answers, streams) in own.items():
        for name, codec in CODECS.items():
            if name == origin:
                continue
            for body in answers:
                with contextlib.suppress(LlmhubError):
                    _keep(seeds[name].answers, codec.encode_response(CODECS[origin].decode_response(body)))
            for body in streams:
                with contextlib.suppress(LlmhubError):
                    decoder = CODECS[origin].stream_decoder()
                    events = decoder.feed(body) + decoder.close()
                    encoder = codec.stream_encoder(DecodedRequest(GenerateRequest(model="m"), stream=True))
                    _keep(seeds[name].streams, encoder.encode(events))


def _keep(into: list[bytes], data: bytes) -> None:
    if len(data) <= LONGEST:
        into.append(data)


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
