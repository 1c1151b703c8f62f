import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import grpc.aio
import pytest

from services.billing.app import OutboxState, audit
from services.billing.settings import BillingSettings
from services.gateway.adapters.outbox import Outbox, OutboxOptions, open_outbox
from services.gateway.adapters.outbox_file import state_of
from services.gateway.adapters.outbox_shipper import ShipperOptions, shipping
from services.runtime.database import open_engine
from services.runtime.ids import new_id
from tests.adapters.gateway.outbox_records import finish, intent

KILLS = 4
OPTIONS = OutboxOptions(ballast_bytes=0, open_limit=256, trim_seconds=0.05)
QUICK = ShipperOptions(linger_seconds=0.002, ack_timeout=2, backoff_base=0.01, backoff_limit=0.05)


async def started(folder: Path, socket: Path) -> Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.services.billing.billing_child", str(folder), str(socket)),
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    return child


async def attempts(outbox: Outbox, made: list[str], stop: asyncio.Event) -> None:
    while not stop.is_set():
        event_id = new_id()
        begun = intent()
        await outbox.intent(event_id, begun)
        made.append(event_id)
        outbox.sent(event_id)
        await outbox.finish(event_id, finish(begun))
        await asyncio.sleep(0.001)


@pytest.mark.slow
async def test_killing_billing_loses_nothing_and_counts_nothing_twice(tmp_path: Path, socket: Path) -> None:
    chance = random.Random(11)
    settings = BillingSettings(data_dir=tmp_path)
    made: list[str] = []
    stop = asyncio.Event()
    pace = [("grpc.initial_reconnect_backoff_ms", 10), ("grpc.max_reconnect_backoff_ms", 50)]
    path = tmp_path / "outbox.db"
    async with (
        open_outbox(path, OPTIONS) as outbox,
        grpc.aio.insecure_channel(f"unix:{socket}", options=pace) as channel,
        shipping(outbox, channel, QUICK),
    ):
        work = [asyncio.create_task(attempts(outbox, made, stop)) for _ in range(4)]
        for _ in range(KILLS):
            child = await started(tmp_path, socket)
            target = outbox.acknowledged + chance.randrange(1, 200)
            async with asyncio.timeout(20):
                while outbox.acknowledged < target:
                    await asyncio.sleep(0.001)
            child.send_signal(signal.SIGKILL)
            await child.wait()
        stop.set()
        await asyncio.gather(*work)
        child = await started(tmp_path, socket)
        assert await outbox.flush(timeout=20)
        child.terminate()
        await child.wait()
    assert audit(settings, (OutboxState(*state_of(path)),)) == []
    assert booked(settings) == sorted(made)


def booked(settings: BillingSettings) -> list[str]:
    engine = open_engine(settings.url, writes=False)
    try:
        with engine.connect() as connection:
            return [
                row[0] for row in connection.exec_driver_sql("SELECT event_id FROM usage_event ORDER BY 1")
            ]
    finally:
        engine.dispose()
