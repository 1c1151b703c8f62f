"""What every provider adapter promises, as checks that run against any of them.

A test makes a Subject of its adapter and calls each of CHECKS with it (tests/services/providers/test_conformance.py).
A subject says how its provider is made to answer; an adapter without a network of its own leaves out what needs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import pytest

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest, GenerateResponse
from llmhub.embedding.v1.embedding_service_pb2 import EmbedRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import Message, Part, Role
from llmhub.types.v1.generation_pb2 import FinishReason
from services.dialects.fold import fold
from services.providers.domain.adapter import Adapter
from services.providers.settings import Limits
from services.runtime.errors import LlmhubError, OperationUnsupported, UpstreamTimeout
from services.runtime.status import to_message

TEXT: Final = "Hello there, nobody."
"""What a provider is made to answer."""
SECRET: Final = "conformance-secret-4711"
"""The credential of every subject; failing providers quote it."""


class Provider(Protocol):
    """The other end, made to answer in the provider's own words. Each lasts until the next."""

    def well(self) -> None:
        """Answer TEXT, whole or streamed as asked, ended properly, with usage."""
        ...

    def fail(self) -> None:
        """Refuse, and quote SECRET in the refusal."""
        ...

    def cut(self) -> None:
        """Begin a stream and end the connection before its end."""
        ...

    def stall(self) -> None:
        """Begin a stream and say no more."""
        ...

    async def left(self) -> bool:
        """Whether the last stalled connection was closed by the adapter; waits for it."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """An adapter and its provider. `without` names checks that make no sense for it."""

    name: str
    model: str
    open: Callable[[Limits], AbstractAsyncContextManager[Adapter]]
    provider: Provider
    without: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return self.name

    @asynccontextmanager
    async def opened(self, limits: Limits | None = None) -> AsyncIterator[Adapter]:
        """Open the adapter, and see to it that closing leaves nothing behind."""
        before = asyncio.all_tasks()
        async with self.open(limits or Limits()) as adapter:
            yield adapter
        # A connection that was closed a moment ago may have to say so to its loop first.
        for _ in range(5):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before, "closing the adapter leaves tasks behind"


def _attempt(subject: Subject) -> pb.Attempt:
    return pb.Attempt(attempt_id="a", request_id="r", provider="subject", model=subject.model)


def _question() -> GenerateRequest:
    request = GenerateRequest(
        model="subject/m", messages=[Message(role=Role.ROLE_USER, parts=[Part(text=TEXT)])]
    )
    request.options.max_output_tokens = 100
    return request


async def _whole(subject: Subject, adapter: Adapter) -> GenerateResponse:
    asked = pb.GenerateRequest(attempt=_attempt(subject), request=_question())
    return (await adapter.generate(asked)).response


async def _stream(subject: Subject, adapter: Adapter) -> list[pb.GenerateStreamResponse]:
    asked = pb.GenerateStreamRequest(attempt=_attempt(subject), request=_question())
    return [message async for message in adapter.generate_stream(asked)]


def _text(answer: GenerateResponse) -> str:
    return "".join(part.text for part in answer.candidates[0].parts)


async def whole_answers_are_whole(subject: Subject) -> None:
    """A whole answer has its text, why it ended, when it was made, and what it used; the request is left as it was."""
    subject.provider.well()
    asked = pb.GenerateRequest(attempt=_attempt(subject), request=_question())
    before = asked.SerializeToString(deterministic=True)
    async with subject.opened() as adapter:
        answer = (await adapter.generate(asked)).response
    assert _text(answer) == TEXT
    assert answer.candidates[0].finish.reason == FinishReason.FINISH_REASON_END
    assert answer.HasField("created_at")
    assert answer.usage.output_tokens > 0
    assert asked.SerializeToString(deterministic=True) == before


async def streams_are_numbered_and_end(subject: Subject) -> None:
    """A stream starts, is numbered, ends once and completely; its progress only grows."""
    subject.provider.well()
    async with subject.opened() as adapter:
        messages = await _stream(subject, adapter)
    events = [event for message in messages for event in message.events]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "started"
    assert events[0].started.provider == "subject"
    assert kinds.count("finished") == 1
    assert kinds[-1] == "finished"
    assert events[-1].finished.complete
    assert [event.sequence for event in events] == sorted({event.sequence for event in events})
    seen = [message.progress.output_characters for message in messages]
    assert seen == sorted(seen)
    assert seen[-1] == len(TEXT)
    assert messages[-1].progress.complete


async def streams_equal_whole_answers(subject: Subject) -> None:
    """Folding a stream gives what the whole answer says."""
    subject.provider.well()
    async with subject.opened() as adapter:
        whole = await _whole(subject, adapter)
        folded = fold(event for message in await _stream(subject, adapter) for event in message.events)
    assert _text(folded) == _text(whole)
    assert folded.candidates[0].finish.reason == whole.candidates[0].finish.reason
    assert folded.usage.input_tokens == whole.usage.input_tokens
    assert folded.usage.output_tokens == whole.usage.output_tokens


async def failures_are_typed_and_tell_no_secret(subject: Subject) -> None:
    """A refusal is an error of ours that names the provider and does not repeat the credential."""
    subject.provider.fail()
    async with subject.opened() as adapter:
        for call in (_whole, _stream):
            with pytest.raises(LlmhubError) as refused:
                await call(subject, adapter)
            assert refused.value.reason != "INTERNAL"
            assert SECRET not in str(to_message(refused.value))
            assert refused.value.metadata["provider"]


async def cut_streams_never_look_whole(subject: Subject) -> None:
    """A stream whose connection ends too early raises."""
    subject.provider.cut()
    async with subject.opened() as adapter:
        asked = pb.GenerateStreamRequest(attempt=_attempt(subject), request=_question())
        with pytest.raises(LlmhubError):
            async for message in adapter.generate_stream(asked):
                assert not message.progress.complete


async def leaving_closes_the_connection(subject: Subject) -> None:
    """Ending a call stops the provider."""
    subject.provider.stall()
    async with subject.opened() as adapter:
        asked = pb.GenerateStreamRequest(attempt=_attempt(subject), request=_question())
        async with aclosing(adapter.generate_stream(asked)) as messages:
            async for _ in messages:
                break
        assert await subject.provider.left()


async def silence_has_an_end(subject: Subject) -> None:
    """The account's time limits hold."""
    subject.provider.stall()
    async with subject.opened(Limits(first_token=0.3, inter_token=0.05, total=2)) as adapter:
        with pytest.raises(UpstreamTimeout):
            await _stream(subject, adapter)


async def what_there_is_not_is_refused(subject: Subject) -> None:
    """Each other operation works or is refused as unsupported; nothing untyped comes out."""
    subject.provider.fail()
    wanted = EmbedRequest(model="subject/m")
    wanted.inputs.add(text=TEXT)
    async with subject.opened() as adapter:
        count = pb.CountTokensRequest(attempt=_attempt(subject), request=_question())
        calls: list[Awaitable[object]] = [
            adapter.count_tokens(count),
            adapter.embed(pb.EmbedRequest(attempt=_attempt(subject), request=wanted)),
            adapter.models(),
        ]
        for call in calls:
            # Anything that is none of ours goes through, and fails the check.
            with suppress(LlmhubError):
                await call
        stranger = pb.RelayRequest(attempt=_attempt(subject), endpoint=pb.Endpoint.ENDPOINT_UNSPECIFIED)
        with pytest.raises(OperationUnsupported):
            async for _ in adapter.relay(stranger):
                pass


CHECKS: Final[tuple[Callable[[Subject], Awaitable[None]], ...]] = (
    whole_answers_are_whole,
    streams_are_numbered_and_end,
    streams_equal_whole_answers,
    failures_are_typed_and_tell_no_secret,
    cut_streams_never_look_whole,
    leaving_closes_the_connection,
    silence_has_an_end,
    what_there_is_not_is_refused,
)
