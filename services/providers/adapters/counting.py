"""Counts tokens for providers that do not, and learns from what they report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Final

from llmhub.completion.v1.completion_service_pb2 import CountTokensResponse, GenerateRequest
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.usage_pb2 import Usage
from services.providers.domain.adapter import Adapter
from services.providers.tokens.content import digest
from services.providers.tokens.counter import Target, TokenCounter
from services.providers.tokens.lru import Lru
from services.runtime.errors import LlmhubError, OperationUnsupported, UpstreamRejected

Reader = Callable[[bytes], GenerateRequest]
"""Reads the body of a relayed request; raises RequestInvalid."""

_KEPT: Final = 1024
_KEPT_FOR: Final = 600.0
"""Seconds for which a provider's own count is believed: a model may change behind its name."""
_COUNTING: Final = frozenset({"anthropic", "gemini", "openai-responses"})
"""Codecs whose vendors count: there is nothing to guess, so nothing to learn."""
_LARGEST_BODY: Final = 256 * 1024
"""Larger relayed bodies are not read for learning."""


class CountingAdapter:
    """Adds counting to an adapter; see domain.adapter.Adapter.

    A count of the provider's own goes first. `target`: by model; `readers`: by relayed endpoint.
    """

    def __init__(
        self,
        inner: Adapter,
        target: Callable[[str], Target],
        counter: TokenCounter,
        readers: Mapping[int, Reader],
    ) -> None:
        self._inner = inner
        self._target = target
        self._counter = counter
        self._readers = readers
        self._kept: Lru[bytes, tuple[float, CountTokensResponse]] = Lru(_KEPT)
        self.embed = inner.embed
        self.models = inner.models

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Make a call for the whole answer."""
        learns = self._learns(request.attempt.model)
        answer = await self._inner.generate(request)
        if learns:
            self._learn(lambda: request.request, request.attempt.model, answer.response.usage)
        return answer

    def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Make a streaming call."""
        stream = self._inner.generate_stream(request)
        # A generator around a generator costs every piece: few streams are learnt from.
        return self._watched(request, stream) if self._learns(request.attempt.model) else stream

    def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Send a body that the provider takes as it is."""
        answer = self._inner.relay(request)
        reader = self._readers.get(request.endpoint)
        if reader is None or len(request.body) > _LARGEST_BODY or not self._learns(request.attempt.model):
            return answer
        return self._overheard(request, answer, reader)

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Count: the provider if it can, else llmhub."""
        target = self._target(request.attempt.model)
        try:
            return pb.CountTokensResponse(response=await self._asked(request, target))
        except LlmhubError as error:
            if not cannot_count(error, target.codec):
                raise
        counted = await self._counter.count(request.request, target)
        return pb.CountTokensResponse(
            response=CountTokensResponse(input_tokens=counted.tokens, measure=counted.measure)
        )

    async def _asked(self, request: pb.CountTokensRequest, target: Target) -> CountTokensResponse:
        now = asyncio.get_running_loop().time()
        key = digest(request.request, target.provider, target.model)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > now:
            return kept[1]
        answer = (await self._inner.count_tokens(request)).response
        self._kept.put(key, (now + _KEPT_FOR, answer))
        return answer

    async def _watched(
        self,
        request: pb.GenerateStreamRequest,
        stream: AsyncGenerator[pb.GenerateStreamResponse, None],
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        usage = Usage()
        async with aclosing(stream) as messages:
            async for message in messages:
                if message.progress.HasField("usage"):
                    usage = message.progress.usage
                yield message
        self._learn(lambda: request.request, request.attempt.model, usage)

    async def _overheard(
        self, request: pb.RelayRequest, answer: AsyncGenerator[pb.RelayResponse, None], reader: Reader
    ) -> AsyncGenerator[pb.RelayResponse, None]:
        usage = Usage()
        async with aclosing(answer) as pieces:
            async for piece in pieces:
                if piece.progress.HasField("usage"):
                    usage = piece.progress.usage
                yield piece
        self._learn(lambda: reader(request.body), request.attempt.model, usage)

    def _learns(self, model: str) -> bool:
        target = self._target(model)
        if target.codec in _COUNTING:
            return False
        return self._counter.learns(target, asyncio.get_running_loop().time())

    def _learn(self, read: Callable[[], GenerateRequest], model: str, usage: Usage) -> None:
        if tokens := input_tokens(usage):
            self._counter.observe(read, self._target(model), tokens)


def cannot_count(error: LlmhubError, codec: str) -> bool:
    """Tell whether a failure means that the provider has no count for this model, rather than that it failed."""
    if isinstance(error, OperationUnsupported):
        return True
    status = 0 if error.upstream is None else error.upstream.http_status
    match codec:
        case "openai-responses":  # servers that copy the API seldom copy its count
            return status in {404, 405, 501}
        case "bedrock":  # some models only, and a model without says so like this
            return isinstance(error, UpstreamRejected)
        case _:
            return False


def input_tokens(usage: Usage) -> int:
    """Return all input of a usage; 0 if it does not say, or if the provider's tools added some."""
    if not usage.HasField("input_tokens") or usage.tool_prompt_tokens or usage.server_tool_calls:
        return 0
    written = usage.cache_write_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return usage.input_tokens + usage.cache_read_tokens + written
