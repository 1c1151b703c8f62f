"""Every knob of the contract is written by every dialect, or its loss is told."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import FieldDescriptor

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.content_pb2 import Message, Part, Role
from llmhub.types.v1.generation_pb2 import GenerationOptions
from services.dialects.anthropic import AnthropicCodec
from services.dialects.bedrock import BedrockCodec
from services.dialects.codec import ChatCodec
from services.dialects.cohere import CohereCodec
from services.dialects.gemini import GeminiCodec
from services.dialects.ollama import OllamaCodec
from services.dialects.openai import PROFILES, OpenAICodec
from services.dialects.openai_responses import ResponsesCodec

CODECS: dict[str, ChatCodec] = {
    "anthropic": AnthropicCodec(),
    "bedrock": BedrockCodec(),
    "cohere": CohereCodec(),
    "gemini": GeminiCodec(),
    "ollama": OllamaCodec(),
    "openai-responses": ResponsesCodec(),
    **{name: OpenAICodec(profile) for name, profile in PROFILES.items()},
}
VALUES = {
    FieldDescriptor.CPPTYPE_INT32: 2,
    FieldDescriptor.CPPTYPE_INT64: 7,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.25,
    FieldDescriptor.CPPTYPE_BOOL: True,
    FieldDescriptor.CPPTYPE_STRING: "high",
}


def asked(options: GenerationOptions) -> GenerateRequest:
    words = Message(role=Role.ROLE_USER, parts=[Part(text="Hello")])
    return GenerateRequest(model="m", messages=[words], options=options)


def with_one(name: str) -> GenerationOptions:
    options = GenerationOptions()
    field = GenerationOptions.DESCRIPTOR.fields_by_name[name]
    if name == "logit_bias":
        options.logit_bias["5"] = 1.0
    elif field.is_repeated:
        getattr(options, name).append("audio")
    else:
        setattr(options, name, VALUES[field.cpp_type])
    return options


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("name", list(GenerationOptions.DESCRIPTOR.fields_by_name))
def test_no_knob_is_lost_silently(codec: ChatCodec, name: str) -> None:
    without = codec.encode_request(asked(GenerationOptions()), "m", stream=False)
    wire = codec.encode_request(asked(with_one(name)), "m", stream=False)
    told = {warning.field.partition("[")[0] for warning in wire.warnings}
    assert wire.body != without.body or f"options.{name}" in told
