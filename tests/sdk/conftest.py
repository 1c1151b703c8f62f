"""A scripted server, and the product with nothing but its simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from llmhub_client import Client
from tests.sdk.fake_server import FakeServer
from tests.support.mesh import ADMIN_KEY, Mesh


@pytest.fixture
async def fake() -> AsyncIterator[FakeServer]:
    server = await FakeServer().start()
    yield server
    await server.stop()


@pytest.fixture
async def client(fake: FakeServer) -> AsyncIterator[Client]:
    async with Client(fake.url, "the-key", timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def simulator(short_folder: Path) -> Iterator[Mesh]:
    """The product as it starts when nothing is configured."""
    running = Mesh(short_folder / "sim", {"edge": {"host": "127.0.0.1"}, "log": {"format": "json"}}).up()
    yield running
    running.stop()


@pytest.fixture
async def real(simulator: Mesh) -> AsyncIterator[Client]:
    async with Client(simulator.base_url, ADMIN_KEY, timeout=20) as client:
        yield client
