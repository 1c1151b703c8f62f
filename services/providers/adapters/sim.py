"""The built-in simulator: a provider without a network, so that the product can be tried and tested offline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from llmhub.completion.v1.completion_service_pb2 import CountTokensResponse, GenerateResponse
from llmhub.embedding.v1.embedding_service_pb2 import EmbedResponse
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.types.v1.content_pb2 import Part
from llmhub.types.v1.generation_pb2 import Candidate, Finish
from llmhub.types.v1.stream_pb2 import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CandidateFinish,
    Finished,
    Started,
    StreamEvent,
)
from llmhub.types.v1.usage_pb2 import Measure, Usage
from services.dialects.progress import observe
from services.providers.domain import sim
from services.providers.settings import Account
from services.runtime.errors import OperationUnsupported


class SimAdapter:
    """Answers by domain.sim; see domain.adapter.Adapter."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def generate(self, request: pb.GenerateRequest) -> pb.GenerateResponse:
        """Answer whole, after the time the words would have taken."""
        script = sim.script(request.request, request.attempt.model)
        words = sum(sim.count([part.text]) for part in script.parts)
        if script.orders.delay:
            await asyncio.sleep(script.orders.delay * max(1, words))
        if script.orders.fail:
            raise script.orders.failure()
        response = GenerateResponse(
            provider_model=request.attempt.model,
            response_id=f"sim-{request.attempt.attempt_id}",
            candidates=[Candidate(parts=script.parts, finish=_finish(script))],
            usage=script.usage,
        )
        response.created_at.GetCurrentTime()
        return pb.GenerateResponse(response=response)

    async def generate_stream(
        self, request: pb.GenerateStreamRequest
    ) -> AsyncGenerator[pb.GenerateStreamResponse, None]:
        """Answer word by word."""
        script = sim.script(request.request, request.attempt.model)
        if script.orders.fail and not script.orders.fail_after:
            raise script.orders.failure()
        started = Started(
            response_id=f"sim-{request.attempt.attempt_id}",
            model=request.attempt.model,
            provider=self._account.name,
        )
        started.created_at.GetCurrentTime()
        characters = deltas = 0
        for sequence, event in enumerate((StreamEvent(started=started), *_events(script))):
            event.sequence = event.frame = sequence
            if event.WhichOneof("event") == "block_delta":
                if script.orders.delay:
                    await asyncio.sleep(script.orders.delay)
                if script.orders.fail and deltas >= script.orders.fail_after:
                    raise script.orders.failure()
                deltas += 1
            elif script.orders.fail and event.HasField("candidate_finish"):
                raise script.orders.failure()
            progress = observe((event,), characters)
            characters = progress.output_characters
            yield pb.GenerateStreamResponse(events=[event], progress=progress)

    def relay(self, request: pb.RelayRequest) -> AsyncGenerator[pb.RelayResponse, None]:
        """Refuse: the simulator has no dialect of its own on the wire."""
        message = f"{self._account.name} has no wire dialect"
        raise OperationUnsupported(message, provider=self._account.name)

    async def count_tokens(self, request: pb.CountTokensRequest) -> pb.CountTokensResponse:
        """Count words."""
        tokens = sim.input_tokens(request.request)
        return pb.CountTokensResponse(
            response=CountTokensResponse(input_tokens=tokens, measure=Measure.MEASURE_VENDOR)
        )

    async def models(self) -> list[str]:
        """Name what it can play."""
        return ["echo", "slow", "fail", "broken", "tools", "embed"]

    async def embed(self, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """Return vectors made from the texts alone."""
        wanted = request.request
        size = wanted.dimensions if wanted.HasField("dimensions") else None
        response = EmbedResponse(provider_model=request.attempt.model)
        texts = [item.text or " ".join(map(str, item.tokens.ids)) for item in wanted.inputs]
        for index, text in enumerate(texts):
            response.embeddings.add(index=index).floats.values.extend(sim.vector(text, size))
        tokens = sim.count(texts)
        response.usage.CopyFrom(Usage(input_tokens=tokens, output_tokens=0, measure=Measure.MEASURE_VENDOR))
        return pb.EmbedResponse(response=response)


def _finish(script: sim.Script) -> Finish:
    return Finish(reason=script.finish, provider_reason="sim")


def _events(script: sim.Script) -> Iterator[StreamEvent]:
    for block, part in enumerate(script.parts):
        yield from _block(block, part)
    yield StreamEvent(candidate_finish=CandidateFinish(finish=_finish(script)))
    yield StreamEvent(usage=script.usage)
    yield StreamEvent(finished=Finished(complete=True, usage=script.usage))


def _block(block: int, part: Part) -> Iterator[StreamEvent]:
    shell = Part()
    shell.CopyFrom(part)
    if part.WhichOneof("kind") == "tool_call":
        shell.tool_call.arguments = ""
        deltas = [BlockDelta(block=block, arguments=part.tool_call.arguments)]
    elif part.WhichOneof("kind") == "reasoning":
        shell.reasoning.text = ""
        deltas = [BlockDelta(block=block, text=text) for text in sim.pieces(part.reasoning.text)]
    else:
        shell.text = ""
        deltas = [BlockDelta(block=block, text=text) for text in sim.pieces(part.text)]
    yield StreamEvent(block_start=BlockStart(block=block, part=shell))
    yield from (StreamEvent(block_delta=delta) for delta in deltas)
    yield StreamEvent(block_stop=BlockStop(block=block))
