"""The Providers port over ProviderService stubs."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import grpc.aio

from llmhub.completion.v1.completion_service_pb2 import GenerateResponse
from llmhub.provider.v1 import provider_service_pb2 as pb
from llmhub.provider.v1.provider_service_pb2_grpc import ProviderServiceStub
from llmhub.route.v1.route_service_pb2 import Target
from llmhub.types.v1.usage_pb2 import Usage
from services.gateway.adapters.connecting import connected, is_connected
from services.gateway.domain.payload import CountTokens, Embed, Generate, Payload, Relay, Whole
from services.gateway.ports import Piece
from services.runtime.service import Channels
from services.runtime.status import from_rpc_error


class StubProviders:
    """Carries each attempt over the channel of its provider; see ports.Providers.

    An attempt goes out only over a connection that is there. So what fails without one was never sent, and what fails
    with one may have been.
    """

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._stubs: dict[str, tuple[grpc.aio.Channel, ProviderServiceStub]] = {}

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
        channel, stub = self._reached(target.provider)
        if not is_connected(channel):
            await connected(channel, "providers")
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

    def _reached(self, provider: str) -> tuple[grpc.aio.Channel, ProviderServiceStub]:
        known = self._stubs.get(provider)
        if known is None:
            channel = self._channels.to_provider(provider)
            known = self._stubs[provider] = (channel, ProviderServiceStub(channel))
        return known


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
