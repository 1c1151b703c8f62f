"""A billing that keeps what it gets and answers as badly as it is told."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio

from llmhub.usage.v1.metering_service_pb2 import IngestUsageRequest, IngestUsageResponse, RejectedRecord
from llmhub.usage.v1.metering_service_pb2_grpc import (
    MeteringServiceServicer,
    add_MeteringServiceServicer_to_server,
)


class Billing(MeteringServiceServicer):
    """Counts every record by sequence; `chance` decides which acknowledgements are lost, repeated, late or cut off."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.seen: dict[int, int] = {}
        self.contiguous = 0
        self.largest_batch = 0
        self.streams = 0
        self.rejects: set[int] = set()
        self.silent = False
        self._chance = chance

    async def IngestUsage(
        self, request_iterator: AsyncIterator[IngestUsageRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[IngestUsageResponse]:
        self.streams += 1
        late: list[IngestUsageResponse] = []
        async for request in request_iterator:
            ack = self._take(request)
            if self.silent:
                continue
            if self._chance is None:
                yield ack
                continue
            match self._chance.randrange(6):
                case 0:
                    continue
                case 1:
                    yield ack
                    yield ack
                case 2:
                    late.append(ack)
                case 3:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "told to fail")
                case _:
                    yield ack
                    for old in late:
                        yield old
                    late.clear()

    def _take(self, request: IngestUsageRequest) -> IngestUsageResponse:
        self.largest_batch = max(self.largest_batch, len(request.records))
        for entry in request.records:
            self.seen[entry.sequence] = self.seen.get(entry.sequence, 0) + 1
        while self.contiguous + 1 in self.seen:
            self.contiguous += 1
        rejected = [RejectedRecord(sequence=n, reason="no") for n in self.rejects if n in self.seen]
        return IngestUsageResponse(
            producer_id=request.producer_id, contiguous_sequence=self.contiguous, rejected=rejected
        )


@asynccontextmanager
async def served(billing: Billing, socket: Path) -> AsyncIterator[None]:
    """Serve on a unix socket."""
    server = grpc.aio.server()
    add_MeteringServiceServicer_to_server(billing, server)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)
