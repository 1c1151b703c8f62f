"""The product in each of its shapes, one after another."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.mesh import Mesh
from tests.support.replay import Replay
from tests.support.world import configuration

SERVICES: Final = ("auth", "billing", "router", "gateway")
KEPT: Final = ("openai", "anthropic", "brief-openai", "brief-anthropic", "closed-openai", "closed-anthropic")

OWN: Final = ("openai", "anthropic")
"""Providers that have a process of their own in the last shape; the others share one, to save time."""


def all_in_one(mesh: Mesh) -> Mesh:
    return mesh.up()


def workers(mesh: Mesh) -> Mesh:
    return mesh.up("--workers", "2")


def five_processes(mesh: Mesh) -> Mesh:
    return mesh.serve(*SERVICES, "providers", "edge")


def a_process_per_provider(mesh: Mesh) -> Mesh:
    rare = ",".join(name for name in KEPT if name not in OWN)
    each = [f"providers --only {names}" for names in (*OWN, rare)]
    return mesh.serve(*SERVICES, *each, "edge")


SHAPES: Final[dict[str, Callable[[Mesh], Mesh]]] = {
    "all-in-one": all_in_one,
    "workers": workers,
    "five-processes": five_processes,
    "process-per-provider": a_process_per_provider,
}


def small(config: dict[str, Any]) -> dict[str, Any]:
    """Keep a few providers and aliases: each provider may be a process."""
    providers = {name: config["providers"][name] for name in KEPT}
    models = {name: entry for name, entry in config["models"].items() if name in {"pair-0", "pair-1"}}
    return {**config, "providers": providers, "models": models}


@pytest.fixture(scope="session", params=SHAPES)
def shaped(request: pytest.FixtureRequest, replay: Replay, closed_port: int) -> Iterator[Mesh]:
    """A running mesh of one shape; asserts that it stops cleanly."""
    folder = Path(tempfile.mkdtemp(prefix="lh-", dir="/tmp"))
    config = small(configuration(replay, closed_port=closed_port))
    running = SHAPES[request.param](Mesh(folder, config))
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)
