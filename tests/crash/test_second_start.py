"""Two on one data directory: the second is refused, and the first does not notice."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.script import configuration
from tests.crash.victims import family
from tests.support.mesh import PROGRAM, Mesh
from tests.support.ports import free_port
from tests.support.replay import Replay


@pytest.fixture
def mesh(replay: Replay, closed_port: int, tmp_path: Path) -> Iterator[Mesh]:
    mesh = Mesh(tmp_path, configuration(replay, closed_port))
    mesh.write_config()
    yield mesh
    mesh.stop()


def _options(mesh: Mesh) -> list[str]:
    return ["--config", str(mesh.config_file), "--data", str(mesh.folder / "data")]


def _is_refused(mesh: Mesh, command: list[str]) -> None:
    before = family(mesh.processes[0].child.pid)
    second = subprocess.run(
        [str(PROGRAM), *command, *_options(mesh)], capture_output=True, text=True, check=False, timeout=60
    )
    assert second.returncode == 2, second.stderr
    (line,) = second.stderr.splitlines()
    assert line.startswith("llmhub: ")
    assert str(mesh.folder / "data") in line
    assert f"(process {before[0][0]})" in line
    assert "--data DIR" in line
    assert second.stdout == ""
    assert family(mesh.processes[0].child.pid) == before


def test_of_everything(mesh: Mesh) -> None:
    mesh.up()
    # On a port of its own, so that the data are the only reason.
    _is_refused(mesh, ["up", "--port", str(free_port())])
    _is_refused(mesh, ["up", "--workers", "2", "--port", str(free_port())])
    _is_refused(mesh, ["serve", "auth"])
    _is_refused(mesh, ["serve", "edge"])
    mesh.wait_ready()


def test_of_one_service(mesh: Mesh) -> None:
    process = mesh.spawn("auth", ["serve", "auth", *_options(mesh)])
    until = time.monotonic() + 30
    while '"started"' not in process.log.read_text():
        assert time.monotonic() < until, process.tail()
        time.sleep(0.05)  # there is no edge that could be asked
    _is_refused(mesh, ["serve", "auth,billing"])
    _is_refused(mesh, ["up", "--port", str(free_port())])
