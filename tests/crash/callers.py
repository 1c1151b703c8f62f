"""Clients that note what they were told, so that it can be held against the books."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import aiohttp
import grpc.aio
import uuid_utils

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateStreamRequest
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from llmhub.types.v1.content_pb2 import Message, Part, Role
from tests.crash.script import TEXT, TEXT_OF
from tests.support.mesh import ADMIN_KEY, Mesh

SECONDS: Final = 30.0
"""No call may hang for longer, whatever was killed."""


class End(StrEnum):
    """How a call ended for its caller."""

    WHOLE = "whole"
    BROKEN = "broken"
    LEFT = "left"


@dataclass(slots=True)
class Call:
    """One call as its caller saw it."""

    model: str
    request_id: str
    door: str
    text: str = ""
    end: End = End.BROKEN
    why: str = ""
    """What the door said of a broken call."""
    lie: str = ""
    """What no door may ever do."""

    @property
    def name(self) -> str:
        """The model, without its provider."""
        return self.model.rpartition("/")[2]

    def ended_cleanly(self) -> None:
        """Note that the door called the answer whole."""
        self.end = End.WHOLE
        if self.text != TEXT_OF.get(self.name, TEXT):
            self.lie = f"a clean end after {len(self.text)} characters"


Leaves = Callable[[int], bool]
"""Whether the caller hangs up after so many events with text."""


class Caller(Protocol):
    """A client of one door."""

    async def ask(self, model: str) -> Call:
        """Call for a whole answer."""
        ...

    async def stream(self, model: str, leaves: Leaves) -> Call:
        """Call for a stream."""
        ...


def _new(model: str, door: str) -> Call:
    return Call(model, str(uuid_utils.uuid7()), door)


def _question(call: Call) -> str:
    # By this the provider's journal knows whose request it got.
    return f"call {call.request_id}"


class OpenAICaller:
    """A plain HTTP client of the OpenAI door."""

    def __init__(self, mesh: Mesh, session: aiohttp.ClientSession) -> None:
        self._url = f"{mesh.base_url}/v1/chat/completions"
        self._session = session

    async def ask(self, model: str) -> Call:
        call = _new(model, "openai")
        try:
            async with self._post(call, stream=False) as answer:
                body = await answer.json()
                if answer.status == 200:
                    call.text = body["choices"][0]["message"]["content"]
                    call.ended_cleanly()
                else:
                    call.why = f"{answer.status} {body}"
        except TimeoutError:
            call.lie = "the call hangs"
        except aiohttp.ClientError as error:
            call.why = repr(error)
        return call

    async def stream(self, model: str, leaves: Leaves) -> Call:
        call = _new(model, "openai")
        try:
            async with self._post(call, stream=True) as answer:
                if answer.status == 200:
                    await self._read(answer, call, leaves)
                else:
                    call.why = f"{answer.status} {await answer.text()}"
        except TimeoutError:
            call.lie = "the call hangs"
        except aiohttp.ClientError as error:
            call.why = repr(error)
        return call

    async def _read(self, answer: aiohttp.ClientResponse, call: Call, leaves: Leaves) -> None:
        seen = 0
        async for line in answer.content:
            data = line.removeprefix(b"data: ").strip()
            if data == b"[DONE]":
                call.ended_cleanly()
                return
            event: dict[str, Any] = json.loads(data) if line.startswith(b"data: ") else {}
            if "error" in event:
                call.why = str(event["error"])
                return
            for choice in event.get("choices", ()):
                call.text += choice["delta"].get("content") or ""
                seen += 1
            if leaves(seen):
                call.end = End.LEFT
                answer.close()
                return
        call.lie = "a stream ends with neither [DONE] nor an error"

    def _post(self, call: Call, *, stream: bool) -> Any:
        body: dict[str, Any] = {
            "model": call.model,
            "messages": [{"role": "user", "content": _question(call)}],
        }
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        headers = {"authorization": f"Bearer {ADMIN_KEY}", "x-request-id": call.request_id}
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        return self._session.post(self._url, json=body, headers=headers, timeout=timeout)


class GrpcCaller:
    """The generated stub."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = CompletionServiceStub(channel)

    async def ask(self, model: str) -> Call:
        call = _new(model, "grpc")
        try:
            answer = await self._stub.Generate(_request(call), metadata=KEY, timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            _take_error(error, call)
        else:
            call.text = "".join(part.text for part in answer.candidates[0].parts)
            call.ended_cleanly()
        return call

    async def stream(self, model: str, leaves: Leaves) -> Call:
        call = _new(model, "grpc")
        seen = 0
        wanted = GenerateStreamRequest(request=_request(call))
        rpc = self._stub.GenerateStream(wanted, metadata=KEY, timeout=SECONDS)
        try:
            async for message in rpc:
                for event in message.events:
                    call.text += event.block_delta.text
                    seen += 1
                    if event.finished.complete:
                        call.ended_cleanly()
                if call.end != End.WHOLE and leaves(seen):
                    call.end = End.LEFT
                    rpc.cancel()
                    return call
            if call.end != End.WHOLE:
                call.lie = "a stream ends with OK and is not complete"
        except grpc.aio.AioRpcError as error:
            _take_error(error, call)
        return call


def _take_error(error: grpc.aio.AioRpcError, call: Call) -> None:
    # After its last event a stream is whole, whatever happens to the status behind it.
    call.why = f"{error.code().name} {error.details()}"
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        call.lie = "the call hangs"


KEY: Final = (("authorization", f"Bearer {ADMIN_KEY}"),)
_CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def channel_to(mesh: Mesh) -> grpc.aio.Channel:
    """Return a channel that finds a mesh again soon after it was killed."""
    return grpc.aio.insecure_channel(mesh.target, options=_CHANNEL)


def _request(call: Call) -> GenerateRequest:
    message = Message(role=Role.ROLE_USER, parts=[Part(text=_question(call))])
    return GenerateRequest(model=call.model, messages=[message], request_id=call.request_id)


async def until_whole(caller: Caller, calls: list[Call], model: str = "openai/whole") -> None:
    """Call until a call succeeds. Raises AssertionError after a while."""
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                calls.append(await caller.ask(model))
                if calls[-1].end == End.WHOLE:
                    return
                await asyncio.sleep(0.05)  # the mesh has no other way to say that it has healed
    except TimeoutError:
        raise AssertionError(f"the mesh does not heal: {calls[-1]}") from None
