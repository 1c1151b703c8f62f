from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.billing.adapters.price_book import ProviderIdentity, SnapshotPriceBook
from services.billing.adapters.usage_books import SqlUsageBooks
from services.billing.adapters.usage_store import SqlUsageStore
from services.runtime.database import migrate, open_engine
from tests.adapters.billing.usage_records import NOON


class StillClock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.time = NOON + 60.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'billing.db'}"
    migrate(url, "services.billing")
    return url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
async def books(url: str) -> AsyncIterator[SqlUsageBooks]:
    books = SqlUsageBooks(open_engine(url, writes=False))
    yield books
    books.close()


@pytest.fixture
def opened_store(clock: StillClock) -> Callable[[str], AbstractAsyncContextManager[SqlUsageStore]]:
    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[SqlUsageStore]:
        prices = SnapshotPriceBook({"sim": ProviderIdentity(dialect="sim")}, ())
        async with SqlUsageStore(open_engine(url), prices, clock).opened() as store:
            yield store

    return opened


@pytest.fixture
async def store(
    url: str, opened_store: Callable[[str], AbstractAsyncContextManager[SqlUsageStore]]
) -> AsyncIterator[SqlUsageStore]:
    async with opened_store(url) as store:
        yield store
