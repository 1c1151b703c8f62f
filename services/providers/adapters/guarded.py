"""Around a plug-in's adapter: whatever it raises or forgets is the failure of its provider, of nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, TypeVar

from llmhub.provider.v1 import provider_service_pb2 as pb
from services.dialects.progress import observe
from services.providers import credentials
from services.providers.domain.adapter import Adapter
from services.providers.settings import Account
from services.runtime.errors import LlmhubError, OperationUnsupported, UpstreamFailed
from services.runtime.log import get_logger
from services.runtime.status import from_message, to_message

log = get_logger(__name__)

FAILURES: Final = (Exception, SystemExit)
"""What a plug-in may do wrong. A cancelled call is none of it."""

T = TypeVar("T")
M = TypeVar("M", pb.GenerateStreamResponse, pb.RelayResponse)


class GuardedAdapter:
    """Calls the adapter inside; see domain.adapter.Adapter.

    Errors that are none of services.runtime.errors become UPSTREAM_FAILED and are logged with the plug-in's name, which
    is its dialect's; the others lose the account's secrets.
    Stream events are numbered here and their progress is found, where the plug-in leaves that out.
    """

    def __init__(self, inner: Adapter, account: Account) -> None:
        self._inner: Any = inner
        self._provider = account.name
        self._plugin = account.dialect
        self._erase = credentials.eraser(account)

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        answer = await self._called(lambda: self._inner.generate(request), pb.GenerateResponse)
        if not answer.response.HasField("created_at"):
            answer.response.created_at.GetCurrentTime()
        return answer

    async def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Make a streaming call; a stream that stops before its end is a failure."""
        sequence = characters = 0
        complete = False
        stream = self._passed(lambda: self._inner.generate_stream(request), pb.GenerateStreamResponse)
        async with aclosing(stream) as messages:
            async for message in messages:
                for event in message.events:
                    event.sequence = event.frame = sequence
                    sequence += 1
                    if event.HasField("started"):
                        event.started.provider = self._provider
                        if not event.started.HasField("created_at"):
                            event.started.created_at.GetCurrentTime()
                if not message.HasField("progress"):
                    message.progress.CopyFrom(observe(message.events, characters))
                characters = message.progress.output_characters or characters
                complete = complete or message.progress.complete
                yield message
        if not complete:
            raise self._failure("ended its stream early")

    async def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Send a body as it is."""
        stream = self._passed(lambda: self._inner.relay(request), pb.RelayResponse)
        async with aclosing(stream) as messages:
            async for message in messages:
                yield message

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Ask the provider to count."""
        return await self._called(lambda: self._inner.count_tokens(request), pb.CountTokensResponse)

    async def models(self) -> list[str]:
        """Name what the plug-in lists."""
        if not hasattr(self._inner, "models"):
            text = f"{self._provider} has no list of models"
            raise OperationUnsupported(text, provider=self._provider, operation="list of models")
        found = await self._called(self._inner.models, list)
        return [name for name in found if isinstance(name, str)]

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Make an embedding call."""
        return await self._called(lambda: self._inner.embed(request), pb.EmbedResponse)

    async def _called(self, call: Callable[[], Awaitable[Any]], kind: type[T]) -> T:
        try:
            answer = await call()
        except LlmhubError as error:
            raise self._scrubbed(error) from None
        except FAILURES as error:
            raise self._logged(error) from None
        if not isinstance(answer, kind):
            raise self._failure(f"answered with {type(answer).__name__}")
        return answer

    async def _passed(self, call: Callable[[], Any], kind: type[M]) -> AsyncGenerator[M, None]:
        try:
            async with aclosing(call()) as messages:
                async for message in messages:
                    if not isinstance(message, kind):
                        raise self._failure(f"answered with {type(message).__name__}")
                    yield message
        except LlmhubError as error:
            raise self._scrubbed(error) from None
        except FAILURES as error:
            raise self._logged(error) from None

    def _scrubbed(self, error: LlmhubError) -> LlmhubError:
        """Return the failure without the account's secrets, which a provider may have quoted."""
        told = to_message(error)
        credentials.scrub(told, self._erase)
        return from_message(told)

    def _logged(self, error: BaseException) -> LlmhubError:
        log.error("plug-in failed", exc_info=error, dialect=self._plugin, provider=self._provider)
        return self._failure("failed; the log says how")

    def _failure(self, what: str) -> LlmhubError:
        text = f"{self._provider}: its plug-in {self._plugin} {what}"
        return UpstreamFailed(text, provider=self._provider)
