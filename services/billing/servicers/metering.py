"""MeteringService: takes usage from gateways."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from llmhub.usage.v1.metering_service_pb2 import IngestUsageRequest, IngestUsageResponse
from llmhub.usage.v1.metering_service_pb2_grpc import MeteringServiceServicer
from services.billing.ports import UsageSink
from services.billing.servicers.convert import ack_to_proto, batch_from
from services.runtime.errors import RequestInvalid, RequestTooLarge

Context = grpc.aio.ServicerContext[Any, Any]
MOST_RECORDS = 10_000
LONGEST_PRODUCER_ID = 36


class MeteringServicer(MeteringServiceServicer):
    """Serves llmhub.usage.v1.MeteringService: an acknowledgement leaves only after the commit."""

    def __init__(self, sink: UsageSink) -> None:
        self._sink = sink

    async def IngestUsage(
        self, request_iterator: AsyncIterator[IngestUsageRequest], context: Context
    ) -> AsyncIterator[IngestUsageResponse]:
        """Book batches in their order. Raises StorageUnavailable: what is not acknowledged is sent again."""
        producer_id = ""
        begun = False
        async for request in request_iterator:
            producer_id = _checked(request, producer_id)
            ack = await self._sink.ingest(
                batch_from(request, opens_stream=not begun and bool(request.records))
            )
            begun = begun or bool(request.records)
            yield ack_to_proto(producer_id, ack)


def _checked(request: IngestUsageRequest, producer_id: str) -> str:
    if not 0 < len(request.producer_id) <= LONGEST_PRODUCER_ID:
        raise RequestInvalid("a batch names its producer")
    if producer_id and request.producer_id != producer_id:
        raise RequestInvalid("a stream belongs to one producer")
    if len(request.records) > MOST_RECORDS:
        raise RequestTooLarge(f"a batch has at most {MOST_RECORDS} records")
    if any(entry.sequence < 1 for entry in request.records):
        raise RequestInvalid("records are numbered from 1")
    return request.producer_id
