"""The Providers port over ProviderService stubs."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import grpc.aio

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.provider.v1.provider_service_pb2_grpc import ProviderServiceStub
from llmhub.route.v1.route_service_pb2 import Target
from llmhub.types.v1.usage_pb2 import Usage
from services.gateway.domain.payload import CountTokens, Embed, Generate, Payload, Relay, Whole
from services.gateway.ports import Piece
from services.runtime.service import Channels
from services.runtime.status import from_rpc_error


class StubProviders:
    """Carries each attempt over the channel of its provider; see ports.Providers."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._stubs: dict[str, ProviderServiceStub] = {}

    async def attempt(
        self, target: Target, attempt_id: str, request_id: str, payload: Payload, limits: pb.TimeLimits
    ) -> AsyncGenerator[Piece, None]:
        """Yield the pieces of one attempt."""
        attempt = pb.Attempt(
            attempt_id=attempt_id,
            request_id=request_id,
            provider=target.provider,
            model=target.model,
            limits=limits,
        )
        stub = self._stub(target.provider)
        try:
            match payload:
                case Relay():
                    call = stub.Relay(_relay_request(attempt, payload))
                    try:
                        async for message in call:
                            yield message
                    finally:
                        call.cancel()
                case Generate(request=request, stream=True):
                    events = stub.GenerateStream(pb.GenerateStreamRequest(attempt=attempt, request=request))
                    try:
                        async for piece in events:
                            yield piece
                    finally:
                        events.cancel()
                case Generate(request=request):
                    whole = await stub.Generate(pb.GenerateRequest(attempt=attempt, request=request))
                    yield Whole(whole.response, _progress(whole.response))
                case CountTokens(request=request):
                    count = await stub.CountTokens(pb.CountTokensRequest(attempt=attempt, request=request))
                    # Counting is not generating: providers do not charge for it.
                    done = pb.Progress(
                        content=True, complete=True, usage=Usage(input_tokens=0, output_tokens=0)
                    )
                    yield Whole(count.response, done)
                case Embed(request=wanted):
                    vectors = await stub.Embed(pb.EmbedRequest(attempt=attempt, request=wanted))
                    yield Whole(vectors.response, _embedded(vectors))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "providers") from None

    def _stub(self, provider: str) -> ProviderServiceStub:
        stub = self._stubs.get(provider)
        if stub is None:
            stub = self._stubs[provider] = ProviderServiceStub(self._channels.to_provider(provider))
        return stub


def _relay_request(attempt: pb.Attempt, payload: Relay) -> pb.RelayRequest:
    return pb.RelayRequest(
        attempt=attempt,
        endpoint=payload.endpoint,
        body=payload.body,
        stream=payload.stream,
        headers=payload.headers or None,
        query=payload.query,
    )


def _progress(response: GenerateResponse) -> pb.Progress:
    progress = pb.Progress(
        content=True,
        complete=True,
        response_id=response.response_id,
        provider_model=response.provider_model,
    )
    if response.HasField("usage"):
        progress.usage.CopyFrom(response.usage)
    else:
        progress.output_characters = sum(
            len(part.text) + len(part.reasoning.text) + len(part.tool_call.arguments)
            for candidate in response.candidates
            for part in candidate.parts
        )
    if response.candidates:
        progress.finish.CopyFrom(response.candidates[0].finish)
    return progress


def _embedded(vectors: pb.EmbedResponse) -> pb.Progress:
    progress = pb.Progress(content=True, complete=True, provider_model=vectors.response.provider_model)
    if vectors.response.HasField("usage"):
        progress.usage.CopyFrom(vectors.response.usage)
    return progress
