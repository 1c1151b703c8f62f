"""Carries the outbox to billing until billing has it, and trims it by what billing acknowledges."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from llmhub.usage.v1.metering_service_pb2 import IngestUsageRequest, IngestUsageResponse
from llmhub.usage.v1.metering_service_pb2_grpc import MeteringServiceStub
from services.gateway.adapters.outbox import Outbox
from services.gateway.adapters.outbox_writer import BATCH_RECORDS
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShipperOptions:
    """Times in seconds. `linger_seconds` is how long a small batch waits for company.

    A batch of one costs billing a transaction of its own: at 20 calls a second as much CPU as the calls themselves.
    """

    linger_seconds: float = 0.1
    batches_in_flight: int = 4
    ack_timeout: float = 10.0
    backoff_base: float = 0.1
    backoff_limit: float = 5.0


class _Flight:
    """The batches of one stream that are not acknowledged."""

    def __init__(self, limit: int, watch: asyncio.Timeout, ack_timeout: float) -> None:
        self._limit = limit
        self._watch = watch
        self._ack_timeout = ack_timeout
        self._ends: deque[int] = deque()
        self._room = asyncio.Event()

    async def wait_for_room(self) -> None:
        while len(self._ends) >= self._limit:
            self._room.clear()
            await self._room.wait()

    def take_off(self, end: int) -> None:
        if not self._ends:
            self._expect_ack()
        self._ends.append(end)

    def land(self, acknowledged: int) -> None:
        landed = False
        while self._ends and self._ends[0] <= acknowledged:
            self._ends.popleft()
            landed = True
        if not self._ends:
            self._watch.reschedule(None)
        elif landed:
            self._expect_ack()
        self._room.set()

    def _expect_ack(self) -> None:
        self._watch.reschedule(asyncio.get_running_loop().time() + self._ack_timeout)


class Shipper:
    """Streams batches over any grpc channel; what is not acknowledged is sent again on the next stream."""

    def __init__(
        self, outbox: Outbox, channel: grpc.aio.Channel, options: ShipperOptions | None = None
    ) -> None:
        self._outbox = outbox
        self._stub = MeteringServiceStub(channel)
        self._options = options or ShipperOptions()
        self._failures = 0
        self.rejected = 0

    @property
    def connected(self) -> bool:
        """Whether the last stream has not failed."""
        return self._failures == 0

    async def run(self) -> None:
        """Ship until cancelled. Never raises otherwise."""
        while True:
            try:
                await self._ship()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._failed("the stream was cancelled")
            except grpc.aio.AioRpcError as error:
                self._failed(f"{error.code().name}: {error.details()}")
            except TimeoutError:
                self._failed("billing acknowledges nothing")
            except Exception as error:  # noqa: BLE001 - metering must go on, whatever a channel comes up with
                self._failed(repr(error))
            options = self._options
            longest = min(options.backoff_limit, options.backoff_base * 2 ** min(self._failures, 16))
            await asyncio.sleep(random.uniform(0, longest))

    async def _ship(self) -> None:
        # A stream without records costs a connection for nothing, so it begins with the first one.
        await self._outbox.wait_beyond(self._outbox.acknowledged)
        async with asyncio.timeout(None) as watch:
            flight = _Flight(self._options.batches_in_flight, watch, self._options.ack_timeout)
            responses = self._stub.IngestUsage(self._requests(flight))
            try:
                async for response in responses:
                    self._take(response, flight)
            finally:
                responses.cancel()
        self._failed("billing ended the stream")

    def _take(self, response: IngestUsageResponse, flight: _Flight) -> None:
        if response.producer_id != self._outbox.producer_id:
            _LOGGER.error("billing acknowledged to another producer")
            return
        self._failures = 0
        for rejected in response.rejected:
            self.rejected += 1
            _LOGGER.error("billing refused a usage record", reason=rejected.reason)
        self._outbox.acknowledge(response.contiguous_sequence)
        flight.land(response.contiguous_sequence)

    async def _requests(self, flight: _Flight) -> AsyncIterator[IngestUsageRequest]:
        outbox = self._outbox
        cursor = outbox.acknowledged
        while True:
            await outbox.wait_beyond(cursor)
            if outbox.last_sequence - cursor < BATCH_RECORDS:
                await asyncio.sleep(self._options.linger_seconds)
            await flight.wait_for_room()
            request = IngestUsageRequest(producer_id=outbox.producer_id)
            for batch in await outbox.batches_after(cursor):
                request.MergeFromString(batch.records)
                cursor = batch.last
            if cursor >= outbox.last_sequence:
                request.low_time.FromSeconds(outbox.low_time())
            flight.take_off(cursor)
            yield request

    def _failed(self, why: str) -> None:
        if not self._failures:
            _LOGGER.warning("usage waits in the outbox: billing does not take it", error=why)
        self._failures += 1


@asynccontextmanager
async def shipping(
    outbox: Outbox, channel: grpc.aio.Channel, options: ShipperOptions | None = None
) -> AsyncIterator[Shipper]:
    """Ship in the background while the block runs."""
    shipper = Shipper(outbox, channel, options)
    task = asyncio.create_task(shipper.run(), name="outbox-shipper")
    try:
        yield shipper
    finally:
        task.cancel()
        await asyncio.wait([task])
