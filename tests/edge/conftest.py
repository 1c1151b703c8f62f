"""A real Envoy with the real configuration before backends that record what reaches them."""

import contextlib
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from services.mesh import envoy_process
from services.mesh.edge import EdgePlan, render, to_yaml
from tests.edge.backends import Contract, GrpcBackend, HttpBackend, start_grpc

START_SECONDS = 20.0


def free_port() -> int:
    """A free port outside the range of outgoing connections, hardly ever one that another run is about to take."""
    for _ in range(1000):
        port = random.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


@dataclass
class Edge:
    """A running edge and what stands behind it."""

    port: int
    folder: Path
    plan: EdgePlan
    grpc: dict[str, GrpcBackend]
    http: HttpBackend
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def access_log(self) -> str:
        """The access log; Envoy writes it a moment later, or at once when asked to."""
        assert self.plan.access_log is not None
        return self.plan.access_log.read_text()


def start_envoy(plan: EdgePlan, folder: Path) -> subprocess.Popen[bytes]:
    files = envoy_process.EnvoyFiles(folder / "envoy.yaml", plan.admin_socket, folder / "envoy.log")
    files.config.write_text(to_yaml(render(plan)))
    process = subprocess.Popen(envoy_process.command(files, 1), env=envoy_process.environment())
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((plan.host, plan.port), timeout=1):
            return process
        time.sleep(0.01)
    process.kill()
    raise RuntimeError(f"Envoy did not start: {files.log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract.read()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hub") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hub") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def plan(module_folder: Path) -> EdgePlan:
    """What a test module may replace by its own."""
    names = ("gateway", "gateway-http", "router", "auth", "billing")
    return EdgePlan(
        upstreams={name: (f"unix:{module_folder / name}.sock",) for name in names},
        admin_socket=module_folder / "admin.sock",
        port=free_port(),
        cors_origins=("https://app.example",),
        access_log=module_folder / "access.log",
    )


@pytest.fixture(scope="module")
def running_edge(plan: EdgePlan, module_folder: Path, contract: Contract) -> Iterator[Edge]:
    http, backends, servers = HttpBackend(), {}, []
    for name in plan.upstreams:
        if name != "gateway-http":
            backends[name] = GrpcBackend(contract)
            servers.append(start_grpc(f"unix:{module_folder / name}.sock", backends[name]))
    door = http.start(module_folder / "gateway-http.sock")
    process = start_envoy(plan, module_folder)
    try:
        yield Edge(plan.port, module_folder, plan, backends, http, process)
    finally:
        process.terminate()
        process.wait(10)
        for server in servers:
            server.stop(None).wait()
        door.shutdown()
        door.server_close()


@pytest.fixture
def edge(running_edge: Edge) -> Edge:
    """The module's edge with empty records."""
    for backend in running_edge.grpc.values():
        backend.calls.clear()
        backend.behaviours.clear()
    running_edge.http.calls.clear()
    running_edge.http.pieces = None
    running_edge.http.refusals.clear()
    return running_edge


@pytest.fixture
def client(edge: Edge) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=edge.url, timeout=30) as client:
        yield client
