"""What a door needs that keeps responses: pure reading and turning, no storage.

A kept response is the response object as the caller got it, and the input items it answered. The next request that
names it goes on with both, so its input is: the kept input, the kept output, its own input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from services.dialects.bounds import require_bounded
from services.dialects.members import (
    SHAPE,
    Extension,
    JsonObject,
    decode_json,
    encode_json,
    json_text,
    request_object,
)
from services.dialects.openai_responses.echo import echo_of
from services.dialects.openai_responses.frames import TERMINAL
from services.dialects.openai_responses.response import write_response
from services.dialects.openai_responses.wire import DIALECT, made_id
from services.dialects.raw_json import raw_members
from services.dialects.sse import SseParser

_STATE: Final = ("store", "previous_response_id", "background", "conversation")
"""Members that are about keeping: none of the model's business."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a request's body asks about keeping."""

    store: bool
    """Keep the answer; asked for where nothing is said."""
    previous_response_id: str
    background: bool
    stream: bool
    conversation: str


def keeping(body: bytes) -> Keeping:
    """Read it off a body; raise RequestInvalid for what is no JSON object, or too much of one."""
    require_bounded(body)
    value = request_object(body)
    conversation: Any = value.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    previous = value.get("previous_response_id")
    return Keeping(
        store=value.get("store") is not False,
        previous_response_id=previous if isinstance(previous, str) else "",
        background=value.get("background") is True,
        stream=value.get("stream") is True,
        conversation=conversation if isinstance(conversation, str) else "",
    )


def input_items(body: bytes, response_id: str) -> list[JsonObject]:
    """The input of a body as items, each with an id, as the vendor lists them; raise RequestInvalid for no object.

    Instructions are not among them: they do not go on to the next response.
    """
    given = request_object(body).get("input")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    items = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    return [_listed(item, response_id, number) for number, item in enumerate(items)]


def continued(body: bytes, earlier: Sequence[Mapping[str, Any]]) -> bytes:
    """The body with these items before its own input, and without what it says about keeping.

    `earlier` are the kept input and output items of the responses before, oldest first.
    """
    request_object(body)
    members: dict[str, Any] = dict(raw_members(body))
    given = decode_json(members["input"]) if "input" in members else []
    if isinstance(given, str):
        given = [{"type": "message", "role": "user", "content": given}]
    members["input"] = [*(_sent(item) for item in earlier), *(given if isinstance(given, list) else ())]
    for name in _STATE:
        members.pop(name, None)
    return encode_json(members)


def without_state(request: GenerateRequest) -> None:
    """Take out of a decoded request what the door has seen to, so that no provider is asked for it again."""
    extension = Extension(request.extensions, DIALECT)
    if DIALECT not in request.extensions or not any(name in extension.members for name in _STATE):
        return
    kept = {name: value for name, value in extension.members.items() if name not in _STATE}
    if extension.shape:
        kept[SHAPE] = extension.shape
    request.extensions[DIALECT] = json_text(kept)


def response_object(response: GenerateResponse, body: bytes) -> JsonObject:
    """The response object for an answer of any origin to this body; raise RequestInvalid for no object."""
    asked = request_object(body)
    echoed = echo_of(asked)
    written = write_response(response, echoed)
    return decode_json(json_text({**written, **_kept_members(asked)}))  # type: ignore[no-any-return]


def queued(response_id: str, model: str, created_at: int, body: bytes) -> JsonObject:
    """The response object of a request that runs in the background and has not begun."""
    empty = GenerateResponse(response_id=response_id, provider_model=model)
    empty.created_at.seconds = created_at
    return {**response_object(empty, body), "status": "queued", "background": True}


def cancelled(response: JsonObject) -> JsonObject:
    """The response object of a request that was cancelled."""
    return {**response, "status": "cancelled", "output": response.get("output") or []}


def output_items(response: JsonObject) -> list[JsonObject]:
    """The output of a response object, as items that the next request's input may hold."""
    output = response.get("output")
    return [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []


class Collected:
    """Watches a stream on its way to the caller for the response object that it ends with."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self.response: JsonObject | None = None
        """The last response object: the whole answer once the terminal event is through."""
        self.ended = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raise UpstreamProtocol for what is no event stream."""
        for event in self._parser.feed(data):
            if b'"response"' not in event.data or self.ended:
                continue
            try:
                frame = decode_json(event.data)
            except ValueError:
                continue
            response = frame.get("response") if isinstance(frame, dict) else None
            if isinstance(response, dict):
                self.response = response
                self.ended = frame.get("type") in TERMINAL


def _kept_members(asked: JsonObject) -> JsonObject:
    """What a response says about its keeping."""
    return {
        "store": asked.get("store") is not False,
        "previous_response_id": asked.get("previous_response_id"),
        "background": asked.get("background") is True,
    }


def _listed(item: JsonObject, response_id: str, number: int) -> JsonObject:
    listed = {"type": "message", **item} if "role" in item else dict(item)
    if not isinstance(listed.get("id"), str):
        listed["id"] = made_id("msg" if listed.get("type") == "message" else "in", response_id, number)
    if listed.get("type") == "message":
        content = listed.get("content")
        if isinstance(content, str):
            kind = "output_text" if listed.get("role") == "assistant" else "input_text"
            listed["content"] = [{"type": kind, "text": content}]
        listed.setdefault("status", "completed")
    return listed


def _sent(item: Mapping[str, Any]) -> JsonObject:
    """A kept item as input: a listed message of the caller's has no status there."""
    sent = dict(item)
    if sent.get("type") == "message" and sent.get("role") != "assistant":
        sent.pop("status", None)
        sent.pop("id", None)
    return sent
