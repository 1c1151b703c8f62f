"""A mesh whose providers speak the four dialects, and programs that are installed by tools/programs.sh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from tests.programs.model import Model, scripted
from tests.programs.outside import Outside
from tests.programs.visit import TOOLS, Visit
from tests.programs.words.spoken import Call
from tests.support.mesh import Mesh
from tests.support.replay import Replay
from tests.support.world import provider

PROVIDERS: Final[dict[str, dict[str, Any]]] = {
    "openai": {"profile": "openai"},
    "local": {},
    "anthropic": {"dialect": "anthropic"},
    "gemini": {"dialect": "gemini"},
}
ALIASES: Final = {
    "gpt-5.5": {"targets": ["anthropic/claude-sonnet-4-5"]},
    "claude-opus-4-8": {"targets": ["local/qwen3-coder"]},
    "claude-sonnet-4-5": {"targets": ["local/qwen3-coder"]},
}
"""Names that programs know: with them they do what they do with their own vendor's models."""


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Everything is installed."""
    if not all((TOOLS / each / ".installed").exists() for each in ("node", "libraries", "litellm")):
        pytest.fail("the programs are not installed: run make programs", pytrace=False)


@pytest.fixture(scope="session")
def mesh(replay: Replay, short_folder: Path) -> Iterator[Mesh]:
    entries = {
        name: provider(replay, name, **{"dialect": "openai", **more}) for name, more in PROVIDERS.items()
    }
    config = {
        "edge": {"host": "127.0.0.1"},
        "providers": entries,
        "models": ALIASES,
        "log": {"format": "json"},
        "grace_seconds": 5,
        "gateway": {"durability": "normal"},
    }
    running = Mesh(short_folder / "programs", config).up()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def channel(mesh: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(mesh.target) as channel:
        yield channel


@pytest.fixture
def visit(mesh: Mesh, channel: grpc.Channel, clean_wire: None, tmp_path: Path) -> Iterator[Visit]:
    with Outside() as outside:
        yield Visit(mesh, channel, outside, tmp_path)


class Models:
    """Makes scripted models."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def __call__(self, name: str, *calls: Call) -> Model:
        return Model(self._replay, name, scripted(*calls))


@pytest.fixture
def scripted_model(replay: Replay) -> Models:
    return Models(replay)
