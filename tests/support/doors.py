"""One question through every door, with each door's ordinary client, told in one form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

import anthropic
import grpc
import httpx
import openai
from google.rpc import error_details_pb2, status_pb2

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateStreamRequest
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from llmhub.types.v1.content_pb2 import Message, Part, Role
from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.generation_pb2 import FinishReason, GenerationOptions
from tests.support.outcome import Outcome

QUESTION: Final = "What is the answer?"
SECONDS: Final = 20.0
"""Longest time any call of a test may take."""

_NOT_AN_ANSWER: Final = (ValueError, AttributeError, TypeError, LookupError)
"""What comes of SDKs, and of reading their answers, when a body is not what it should be."""

HTTP_OF: Final = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class Door(Protocol):
    """A way in."""

    name: str

    def ask(self, model: str, request_id: str) -> Outcome:
        """Ask the question and return what came of it; never raises for what the door reports."""
        ...

    def close(self) -> None:
        """Close the client."""
        ...


def request(model: str, request_id: str = "") -> GenerateRequest:
    """Return the question in the contract's words."""
    message = Message(role=Role.ROLE_USER, parts=[Part(text=QUESTION)])
    options = GenerationOptions(max_output_tokens=512)
    return GenerateRequest(model=model, messages=[message], request_id=request_id, options=options)


class OpenAIDoor:
    """The openai SDK."""

    def __init__(self, base_url: str, key: str, *, stream: bool) -> None:
        self.name = "openai-stream" if stream else "openai"
        self._stream = stream
        self._client = openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0, timeout=SECONDS)

    def close(self) -> None:
        self._client.close()

    def ask(self, model: str, request_id: str) -> Outcome:
        out = Outcome(request_id=request_id)
        with _openai_errors(out):
            self._ask(model, request_id, out)
        return out

    def _ask(self, model: str, request_id: str, out: Outcome) -> None:
        create = self._client.chat.completions.create
        headers = {"x-request-id": request_id}
        question: Any = {"role": "user", "content": QUESTION}
        if not self._stream:
            answer = create(model=model, messages=[question], max_tokens=512, extra_headers=headers)
            out.text = answer.choices[0].message.content or ""
            out.finish = answer.choices[0].finish_reason
            out.clean = True
            return
        chunks = create(model=model, messages=[question], max_tokens=512, stream=True, extra_headers=headers)
        for chunk in chunks:
            for choice in chunk.choices:
                out.text += choice.delta.content or ""
                out.finish = choice.finish_reason or out.finish
        out.clean = True


class AnthropicDoor:
    """The anthropic SDK."""

    def __init__(self, base_url: str, key: str, *, stream: bool) -> None:
        self.name = "anthropic-stream" if stream else "anthropic"
        self._stream = stream
        self._client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0, timeout=SECONDS)

    def close(self) -> None:
        self._client.close()

    def ask(self, model: str, request_id: str) -> Outcome:
        out = Outcome(request_id=request_id)
        with _anthropic_errors(out):
            self._ask(model, request_id, out)
        return out

    def _ask(self, model: str, request_id: str, out: Outcome) -> None:
        question: Any = {"role": "user", "content": QUESTION}
        headers = {"x-request-id": request_id}
        messages = self._client.messages
        if not self._stream:
            answer = messages.create(model=model, messages=[question], max_tokens=512, extra_headers=headers)
            out.text = "".join(block.text for block in answer.content if block.type == "text")
            out.finish = answer.stop_reason or ""
            out.clean = True
            return
        events = messages.create(
            model=model, messages=[question], max_tokens=512, stream=True, extra_headers=headers
        )
        for event in events:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                out.text += event.delta.text
            elif event.type == "message_delta":
                out.finish = event.delta.stop_reason or ""
            elif event.type == "message_stop":
                out.clean = True


class GrpcDoor:
    """The generated stub on a native channel."""

    def __init__(self, channel: grpc.Channel, key: str, *, stream: bool) -> None:
        self.name = "grpc-stream" if stream else "grpc"
        self._stream = stream
        self._stub: Any = CompletionServiceStub(cast(Any, channel))
        self._metadata = (("authorization", f"Bearer {key}"),)

    def close(self) -> None:
        """Leave the channel to whoever opened it."""

    def ask(self, model: str, request_id: str) -> Outcome:
        out = Outcome(request_id=request_id)
        try:
            self._ask(model, request_id, out)
        except grpc.RpcError as error:
            grpc_error(error, out)
        return out

    def _ask(self, model: str, request_id: str, out: Outcome) -> None:
        asked = request(model, request_id)
        if not self._stream:
            answer = self._stub.Generate(asked, metadata=self._metadata, timeout=SECONDS)
            candidate = answer.candidates[0]
            out.text = "".join(part.text for part in candidate.parts)
            out.finish = FinishReason.Name(candidate.finish.reason)
            out.clean = True
            return
        call = self._stub.GenerateStream(
            GenerateStreamRequest(request=asked), metadata=self._metadata, timeout=SECONDS
        )
        for message in call:
            for event in message.events:
                _take_event(event, out)


class RestDoor:
    """Plain HTTP and JSON on the transcoded contract."""

    def __init__(self, base_url: str, key: str, *, stream: bool) -> None:
        self.name = "rest-stream" if stream else "rest"
        self._stream = stream
        self._client = httpx.Client(
            base_url=base_url, headers={"authorization": f"Bearer {key}"}, timeout=SECONDS
        )

    def close(self) -> None:
        self._client.close()

    def ask(self, model: str, request_id: str) -> Outcome:
        out = Outcome(request_id=request_id)
        body = {
            "request_id": request_id,
            "model": model,
            "messages": [{"role": "ROLE_USER", "parts": [{"text": QUESTION}]}],
        }
        try:
            if self._stream:
                self._ask_stream(body, out)
            else:
                self._ask(body, out)
        except (httpx.HTTPError, *_NOT_AN_ANSWER) as error:
            out.error, out.message = type(error).__name__, str(error)
        return out

    def _ask(self, body: dict[str, Any], out: Outcome) -> None:
        answer = self._client.post("/api/v1/completions", json=body)
        out.status = answer.status_code
        if answer.status_code != 200:
            rest_error(answer.json(), out)
            return
        candidate = answer.json()["candidates"][0]
        out.text = "".join(part.get("text", "") for part in candidate["parts"])
        out.finish = candidate["finish"]["reason"]
        out.clean = True

    def _ask_stream(self, body: dict[str, Any], out: Outcome) -> None:
        with self._client.stream("POST", "/api/v1/stream", json=body) as answer:
            out.status = answer.status_code
            if answer.status_code != 200:
                answer.read()
                rest_error(answer.json(), out)
                return
            for line in answer.iter_lines():
                if not line.startswith("data:"):
                    continue
                for event in json.loads(line[5:]).get("events", ()):
                    _take_rest_event(event, out)


@contextmanager
def every_door(base_url: str, channel: grpc.Channel, key: str) -> Iterator[list[Door]]:
    """Open all doors, for whole answers and for streams."""
    doors: list[Door] = [
        door
        for stream in (False, True)
        for door in (
            OpenAIDoor(base_url, key, stream=stream),
            AnthropicDoor(base_url, key, stream=stream),
            GrpcDoor(channel, key, stream=stream),
            RestDoor(base_url, key, stream=stream),
        )
    ]
    yield doors
    for door in doors:
        door.close()


# ------------------------------------------------------------------------------------ errors


def grpc_error(error: Any, out: Outcome) -> None:
    """Read a status and its details."""
    code = error.code()
    out.status, out.error, out.message = HTTP_OF.get(code, 500), code.name, error.details() or ""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                _take_detail(detail, out)


def _take_detail(detail: Any, out: Outcome) -> None:
    if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
        info = error_details_pb2.ErrorInfo.FromString(detail.value)
        assert info.domain == "llmhub"
        out.reason = info.reason
    elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
        delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
        out.retry_after = delay.seconds + delay.nanos / 1e9


def rest_error(body: Any, out: Outcome) -> None:
    """Read google.rpc.Status as JSON."""
    out.body, out.message = body, body.get("message", "")
    out.error = str(body.get("code"))
    for detail in body.get("details", ()):
        if detail["@type"].endswith("/google.rpc.ErrorInfo"):
            out.reason = detail["reason"]
        elif detail["@type"].endswith("/google.rpc.RetryInfo"):
            out.retry_after = float(detail["retry_delay"].removesuffix("s"))


def _take_event(event: Any, out: Outcome) -> None:
    match event.WhichOneof("event"):
        case "block_delta":
            out.text += event.block_delta.text
        case "candidate_finish":
            out.finish = FinishReason.Name(event.candidate_finish.finish.reason)
        case "finished":
            out.clean = event.finished.complete
            reason = ErrorReason.Name(event.finished.error.reason).removeprefix("ERROR_REASON_")
            out.reason = "" if out.clean else reason


def _take_rest_event(event: dict[str, Any], out: Outcome) -> None:
    if "block_delta" in event:
        out.text += event["block_delta"].get("text", "")
    elif "candidate_finish" in event:
        out.finish = event["candidate_finish"]["finish"]["reason"]
    elif "finished" in event:
        finished = event["finished"]
        out.clean = finished.get("complete", False)
        out.reason = finished.get("error", {}).get("reason", "").removeprefix("ERROR_REASON_")
        out.message = finished.get("error", {}).get("message", "")


@contextmanager
def _openai_errors(out: Outcome) -> Iterator[None]:
    try:
        yield
    except openai.APIError as error:
        out.error, out.message, out.body = type(error).__name__, error.message, error.body
        if isinstance(error, openai.APIStatusError):
            out.status = error.status_code
            out.retry_after = _number(error.response.headers.get("retry-after"))
    except _NOT_AN_ANSWER as error:
        out.error, out.message = type(error).__name__, str(error)


@contextmanager
def _anthropic_errors(out: Outcome) -> Iterator[None]:
    try:
        yield
    except anthropic.APIError as error:
        out.clean = False
        out.error, out.message, out.body = type(error).__name__, error.message, error.body
        if isinstance(error, anthropic.APIStatusError):
            out.status = error.status_code
            out.retry_after = _number(error.response.headers.get("retry-after"))
    except _NOT_AN_ANSWER as error:
        out.error, out.message = type(error).__name__, str(error)


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
