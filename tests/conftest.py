"""One replay server and one mesh for all tests that go through the front door."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.ports import ClosedPort, free_port
from tests.support.replay import Replay
from tests.support.world import configuration


@pytest.fixture(scope="session")
def replay() -> Iterator[Replay]:
    with Replay() as server:
        server.keep_out(ADMIN_KEY)
        yield server


@pytest.fixture(scope="session")
def closed_port() -> Iterator[int]:
    port = ClosedPort()
    yield port.port
    port.close()


@pytest.fixture(scope="session")
def page_port() -> int:
    return free_port()


@pytest.fixture
def clean_wire(replay: Replay) -> Iterator[None]:
    """Fails a test whose calls brought something to a provider that is none of its business."""
    before = len(replay.faults)
    yield
    assert replay.faults[before:] == []


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for unix sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="lh-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mesh(replay: Replay, closed_port: int, page_port: int, short_folder: Path) -> Iterator[Mesh]:
    """The product in its default shape, running for the whole session."""
    origins = (f"http://127.0.0.1:{page_port}",)
    config = configuration(replay, closed_port=closed_port, origins=origins)
    running = Mesh(short_folder / "one", config).up()
    yield running
    running.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the mesh's logs to the report of a failed test that used it."""
    report = yield
    running = getattr(item, "funcargs", {}).get("mesh")
    if report.failed and report.when == "call" and isinstance(running, Mesh):
        report.sections.append(("mesh", running.logs()))
    return report
