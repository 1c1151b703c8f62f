"""What the official SDK makes of bytes: the second opinion on every answer."""

from __future__ import annotations

import warnings
from typing import Any, cast

import openai
from openai.types.responses import CompactedResponse, Response, ResponseStreamEvent

from tests.dialects.openai.official import client

_ASK: dict[str, Any] = {"model": "m", "input": "?"}


def whole(body: bytes) -> Response:
    """The response that the SDK reads."""
    with client(200, {"content-type": "application/json"}, body) as sdk:
        return cast("Response", sdk.responses.create(**_ASK))


def streamed(body: bytes) -> list[ResponseStreamEvent]:
    """The events that the SDK reads; raises what it raises."""
    with client(200, {"content-type": "text/event-stream"}, body) as sdk:
        return list(sdk.responses.create(**_ASK, stream=True))


def accumulated(body: bytes) -> Response:
    """The response that the SDK puts together from a stream; raises what it raises."""
    with (
        warnings.catch_warnings(),
        client(200, {"content-type": "text/event-stream"}, body) as sdk,
        sdk.responses.stream(**_ASK) as stream,
    ):
        # pydantic's, about what the SDK itself does to items of kinds newer than it.
        warnings.simplefilter("ignore", UserWarning)
        for _ in stream:
            pass
        return cast("Response", stream.get_final_response())


def compacted(body: bytes) -> CompactedResponse:
    """The compaction that the SDK reads."""
    with client(200, {"content-type": "application/json"}, body) as sdk:
        return sdk.responses.compact(**_ASK)


def counted(body: bytes) -> int:
    """The count that the SDK reads."""
    with client(200, {"content-type": "application/json"}, body) as sdk:
        return sdk.responses.input_tokens.count(**_ASK).input_tokens


def error(status: int, headers: dict[str, str], body: bytes) -> openai.APIStatusError:
    """The typed exception that the SDK raises."""
    with client(status, headers, body) as sdk:
        try:
            sdk.responses.create(**_ASK)
        except openai.APIStatusError as raised:
            return raised
    raise AssertionError("the SDK raised nothing")
