import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from llmhub.usage.v1.metering_service_pb2_grpc import add_MeteringServiceServicer_to_server
from services.gateway.adapters.outbox import Outbox, OutboxOptions, open_outbox
from services.gateway.adapters.outbox_shipper import Shipper, ShipperOptions, shipping
from services.runtime.ids import new_id
from services.runtime.in_process import InProcessServer
from tests.adapters.gateway.billing_fake import Billing, served
from tests.adapters.gateway.outbox_records import entries, finish

OPTIONS = OutboxOptions(ballast_bytes=0, open_limit=64, trim_seconds=0.001)
QUICK = ShipperOptions(linger_seconds=0.001, ack_timeout=0.2, backoff_base=0.005, backoff_limit=0.02)


@pytest.fixture
def socket() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lh", dir="/tmp") as folder:
        yield Path(folder) / "b.sock"


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    async with open_outbox(tmp_path / "outbox.db", OPTIONS) as opened:
        yield opened


@asynccontextmanager
async def shipped(outbox: Outbox, socket: Path, options: ShipperOptions = QUICK) -> AsyncIterator[Shipper]:
    # An unreachable socket is tried again at the shipper's pace, not at the channel's.
    pace = [("grpc.initial_reconnect_backoff_ms", 10), ("grpc.max_reconnect_backoff_ms", 20)]
    async with (
        grpc.aio.insecure_channel(f"unix:{socket}", options=pace) as channel,
        shipping(outbox, channel, options) as shipper,
    ):
        yield shipper


async def test_everything_arrives_once_and_is_trimmed(outbox: Outbox, socket: Path, tmp_path: Path) -> None:
    billing = Billing()
    async with served(billing, socket), shipped(outbox, socket):
        await asyncio.gather(*(outbox.record(new_id(), finish()) for _ in range(1200)))
        assert await outbox.flush(timeout=10)
    await outbox.close()
    assert billing.seen == dict.fromkeys(range(1, 1201), 1)
    assert billing.largest_batch <= 500
    assert entries(tmp_path / "outbox.db") == []


@pytest.mark.parametrize("seed", range(5))
async def test_lost_repeated_and_late_acknowledgements_lose_nothing(
    outbox: Outbox, socket: Path, seed: int
) -> None:
    billing = Billing(random.Random(seed))
    async with served(billing, socket), shipped(outbox, socket):
        for _ in range(40):
            await asyncio.gather(*(outbox.record(new_id(), finish()) for _ in range(5)))
        assert await outbox.flush(timeout=20)
    assert sorted(billing.seen) == list(range(1, 201))
    assert billing.streams > 1


async def test_billing_may_come_later(outbox: Outbox, socket: Path) -> None:
    async with shipped(outbox, socket) as shipper:
        await outbox.record("a", finish())
        assert not await outbox.flush(timeout=0.05)
        billing = Billing()
        async with served(billing, socket):
            assert await outbox.flush(timeout=10)
            # Not later: that billing leaves again is noticed whenever the machine gets round to it.
            assert shipper.connected
        assert billing.contiguous == 1


async def test_a_silent_billing_gets_a_new_stream(outbox: Outbox, socket: Path) -> None:
    billing = Billing()
    billing.silent = True
    async with served(billing, socket), shipped(outbox, socket):
        await outbox.record("a", finish())
        async with asyncio.timeout(10):
            while billing.streams < 2:
                await asyncio.sleep(0.005)
        billing.silent = False
        assert await outbox.flush(timeout=10)
    assert billing.seen[1] > 1


async def test_rejected_records_are_counted_and_not_sent_for_ever(outbox: Outbox, socket: Path) -> None:
    billing = Billing()
    billing.rejects = {2}
    async with served(billing, socket), shipped(outbox, socket) as shipper:
        for name in "abc":
            await outbox.record(name, finish())
        assert await outbox.flush(timeout=10)
        assert shipper.rejected >= 1


async def test_a_restart_goes_on_where_billing_stopped(tmp_path: Path, socket: Path) -> None:
    billing = Billing()
    async with served(billing, socket):
        async with open_outbox(tmp_path / "o.db", OPTIONS) as first, shipped(first, socket):
            for _ in range(10):
                await first.record(new_id(), finish())
            assert await first.flush(timeout=10)
        async with open_outbox(tmp_path / "o.db", OPTIONS) as second:
            await second.record(new_id(), finish())
            async with shipped(second, socket):
                assert await second.flush(timeout=10)
    assert billing.seen == dict.fromkeys(range(1, 12), 1)


async def test_the_window_is_bounded(outbox: Outbox, socket: Path) -> None:
    billing = Billing()
    billing.silent = True
    patient = ShipperOptions(linger_seconds=0, batches_in_flight=2, ack_timeout=30)
    async with served(billing, socket), shipped(outbox, socket, patient):
        for _ in range(20):
            await outbox.record(new_id(), finish())
            await asyncio.sleep(0.002)
        assert 1 <= len(billing.seen) < 20


async def test_it_runs_over_the_in_process_channel(outbox: Outbox) -> None:
    billing = Billing()
    server = InProcessServer()
    add_MeteringServiceServicer_to_server(billing, server)
    async with shipping(outbox, server.channel(), QUICK):
        for _ in range(20):
            await outbox.record(new_id(), finish())
        assert await outbox.flush(timeout=10)
    assert billing.seen == dict.fromkeys(range(1, 21), 1)
