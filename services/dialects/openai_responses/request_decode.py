"""Reads a caller's request for a response, or for a count of its input."""

from __future__ import annotations

from typing import Final

import msgspec

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.bounds import require_bounded
from services.dialects.codec import DecodedRequest
from services.dialects.members import JsonObject, Members, decode_json, request_object
from services.dialects.openai_responses.options import read_options
from services.dialects.openai_responses.read_input import read_input
from services.dialects.openai_responses.text import read_text
from services.dialects.openai_responses.tools import read_choice, read_tools
from services.dialects.openai_responses.wire import DIALECT
from services.dialects.raw_json import is_array, object_keeping
from services.dialects.surrogates import mended
from services.runtime.errors import RequestInvalid, Violation

_RAW: Final = ("tools", "text")
_MOST_FAULTS: Final = 32


def decode_request(body: bytes) -> DecodedRequest:
    """Read a body; raise RequestInvalid with a violation for each fault."""
    try:
        return _decode(body)
    except RecursionError:
        raise too_deep() from None


def too_deep() -> RequestInvalid:
    """What is said of a body that nests further than can be read and written."""
    return RequestInvalid("the body nests too deep", violations=(Violation("", "nests too deep"),))


def _decode(body: bytes) -> DecodedRequest:
    require_bounded(body)
    value = _object(body)
    faults: list[Violation] = []
    raws = {name: value.pop(name) for name in _RAW if isinstance(value.get(name), msgspec.Raw)}
    members = Members(value, "", faults)
    members.hint("v")
    request = GenerateRequest()
    model = members.word("model")
    if model is None:
        members.fault("model", "must be a string that is not empty")
    else:
        request.model = model
    stream = members.flag("stream")
    if stream is False:
        members.hint("stream", value=False)
    read_input(members, request, faults)
    _read_raws(raws, members, request, faults)
    read_choice(members, request.tool_choice)
    read_options(members, request)
    if not request.tool_choice.ListFields():
        request.ClearField("tool_choice")
    if faults:
        first = faults[0]
        where = f"{first.field}: " if first.field else ""
        raise RequestInvalid(f"{where}{first.message}", violations=tuple(faults[:_MOST_FAULTS]))
    members.save(request.extensions, DIALECT)
    return DecodedRequest(request, stream=bool(stream), include_usage=True)


def _object(body: bytes) -> JsonObject:
    if mended(body) is not body:
        # To the letter: what a caller sends is not repaired on the way.
        request_object(body)
    try:
        return object_keeping(body, *_RAW)
    except ValueError:
        return request_object(body)


def _read_raws(
    raws: dict[str, msgspec.Raw], members: Members, request: GenerateRequest, faults: list[Violation]
) -> None:
    tools = raws.get("tools")
    if tools is not None:
        if is_array(tools) and decode_json(tools):
            read_tools(tools, request, faults)
        else:
            members.rest["tools"] = decode_json(tools)
            if not isinstance(members.rest["tools"], list | None):
                members.fault("tools", "must be an array")
    if "text" in raws:
        read_text(raws["text"], members, request, faults)
