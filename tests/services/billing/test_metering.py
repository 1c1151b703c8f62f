import random
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from llmhub.usage.v1.metering_service_pb2 import IngestUsageRequest, IngestUsageResponse
from llmhub.usage.v1.metering_service_pb2_grpc import MeteringServiceStub
from services.billing.app import audit
from services.billing.settings import BillingSettings
from tests.adapters.billing.usage_records import PRODUCER, begun, finished, message
from tests.services.billing.harness import served


async def exchange(socket: Path, *requests: IngestUsageRequest) -> list[IngestUsageResponse]:
    async def stream() -> AsyncIterator[IngestUsageRequest]:
        for request in requests:
            yield request

    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        return [response async for response in MeteringServiceStub(channel).IngestUsage(stream())]


async def test_every_batch_is_acknowledged_after_its_commit(settings: BillingSettings, socket: Path) -> None:
    async with served(settings, socket):
        requests = [message([begun(f"e{n}", 2 * n - 1), finished(f"e{n}", 2 * n)]) for n in range(1, 6)]
        acks = await exchange(socket, *requests)
        assert [ack.contiguous_sequence for ack in acks] == [2, 4, 6, 8, 10]
        assert {ack.producer_id for ack in acks} == {PRODUCER}
        assert audit(settings) == []


async def test_rejected_records_are_named_and_the_rest_goes_on(
    settings: BillingSettings, socket: Path
) -> None:
    async with served(settings, socket):
        (first, second) = await exchange(
            socket, message([finished("a", 1)]), message([finished("a", 2, model="other"), finished("b", 3)])
        )
        assert list(first.rejected) == []
        assert [(r.sequence, r.reason) for r in second.rejected] == [
            (2, "the event id was used for other content")
        ]
        assert second.contiguous_sequence == 3


async def test_an_empty_batch_asks_where_to_go_on(settings: BillingSettings, socket: Path) -> None:
    async with served(settings, socket):
        await exchange(socket, message([finished("a", 1)]))
        (ack,) = await exchange(socket, message([]))
        assert ack.contiguous_sequence == 1


@pytest.mark.parametrize(
    "requests",
    [
        [message([finished("a", 1)], producer_id="")],
        [message([finished("a", 0)])],
        [message([finished("a", 1)]), message([finished("b", 1)], producer_id="another")],
    ],
)
async def test_what_breaks_the_protocol_is_refused(
    settings: BillingSettings, socket: Path, requests: list[IngestUsageRequest]
) -> None:
    async with served(settings, socket):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await exchange(socket, *requests)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_restart_keeps_the_mark(settings: BillingSettings, socket: Path) -> None:
    for number in (1, 2, 3):
        async with served(settings, socket):
            (ack,) = await exchange(socket, message([finished(f"e{number}", number)]))
            assert ack.contiguous_sequence == number
    assert audit(settings) == []


async def test_random_resending_books_each_event_once(settings: BillingSettings, socket: Path) -> None:
    chance = random.Random(3)
    entries = [finished(f"e{n}", n) for n in range(1, 301)]
    async with served(settings, socket):
        acknowledged = 0
        while acknowledged < 300:
            start = chance.randrange(max(0, acknowledged - 40), acknowledged + 1)
            size = chance.randrange(1, 40)
            requests = [message(entries[at : at + size]) for at in range(start, min(300, start + 120), size)]
            acks = await exchange(socket, *requests)
            acknowledged = acks[-1].contiguous_sequence
        assert audit(settings) == []
