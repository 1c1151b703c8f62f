"""EmbeddingService over the pipeline."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import grpc.aio

from llmhub.embedding.v1 import embedding_service_pb2 as pb
from llmhub.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceServicer
from llmhub.route.v1.route_service_pb2 import Needs, Operation
from services.gateway.domain.call import Ask
from services.gateway.domain.payload import Embed, Whole
from services.gateway.domain.pipeline import Pipeline
from services.gateway.servicers.completion import (
    caller,
    deadline_of,
    head,
    request_id_of,
    served_model,
    trail,
)
from services.runtime.errors import InternalError

Context = grpc.aio.ServicerContext[Any, Any]


class EmbeddingServicer(EmbeddingServiceServicer):
    """Turns embedding requests into calls."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        """Return one vector per input."""
        ask = Ask(
            request_id=request_id_of(request.request_id),
            principal=caller(),
            model=request.model,
            operation="embed",
            door="grpc",
            needs=Needs(operation=Operation.OPERATION_EMBED),
            input_size=request.ByteSize(),
            payload=lambda _: Embed(request),
            deadline=deadline_of(context),
        )
        answer = None
        async with aclosing(self._pipeline.run(ask)) as pieces:
            async for piece in pieces:
                answer = piece
        await head(context, ask)
        trail(context, ask)
        if not isinstance(answer, Whole) or not isinstance(answer.answer, pb.EmbedResponse):
            message = "a provider answered in another form than was asked for"
            raise InternalError(message)
        response = answer.answer
        response.request_id = ask.request_id
        response.model = served_model(ask)
        response.decision.CopyFrom(ask.decision)
        return response
