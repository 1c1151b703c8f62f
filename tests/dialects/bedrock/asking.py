"""Requests in the contract's words, and what of them reaches Bedrock."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from google.protobuf.text_format import Parse

from llmhub.completion.v1.completion_service_pb2 import UNSUPPORTED_POLICY_REFUSE, GenerateRequest
from services.runtime.errors import ParameterUnsupported
from tests.dialects.bedrock import official
from tests.dialects.bedrock.recorded import codec

CLAUDE: Final = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def asked(text: str) -> GenerateRequest:
    return Parse(text, GenerateRequest())


def sent(text: str, model: str = CLAUDE) -> tuple[dict[str, Any], list[str]]:
    """The body, which boto3 accepts, and the fields that warnings are about."""
    request = asked(text)
    written = codec.encode_request(request, model, stream=False)
    body = json.loads(written.body)
    official.serialised("Converse", model, body)
    official.accepted("Converse", body)
    if written.warnings:
        request.unsupported = UNSUPPORTED_POLICY_REFUSE
        with pytest.raises(ParameterUnsupported):
            codec.encode_request(request, model, stream=False)
    return body, [warning.field for warning in written.warnings]


def content(text: str, model: str = CLAUDE) -> tuple[list[Any], list[str]]:
    """The blocks of the only turn, and the fields that warnings are about."""
    body, lost = sent(f"messages {{ role: ROLE_USER {text} }}", model)
    (turn,) = body.get("messages", [{"content": []}])
    return turn["content"], lost
