"""The paths of the Responses API that make calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmhub.provider.v1.provider_service_pb2 import Endpoint
from llmhub.route.v1.route_service_pb2 import Operation
from services.dialects.openai_responses import ResponsesCodec
from services.gateway.http.endpoints import OPENAI_HEADERS, VendorEndpoint, counting, generation

RESPONSES: Final = ResponsesCodec()
ROOT: Final = "/v1/responses"

CREATE: Final = generation(RESPONSES, Endpoint.ENDPOINT_OPENAI_RESPONSES, OPENAI_HEADERS)
CALLS: Final[Mapping[str, VendorEndpoint]] = {
    ROOT: CREATE,
    f"{ROOT}/input_tokens": counting(
        RESPONSES, RESPONSES, Endpoint.ENDPOINT_OPENAI_INPUT_TOKENS, OPENAI_HEADERS
    ),
    f"{ROOT}/compact": VendorEndpoint(
        RESPONSES,
        Endpoint.ENDPOINT_OPENAI_COMPACT,
        "generate",
        Operation.OPERATION_GENERATE,
        OPENAI_HEADERS,
    ),
}
"""Endpoints by their whole path; all take POST."""
