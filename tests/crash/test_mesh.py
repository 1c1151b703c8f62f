"""Kill -9 of services that are processes of their own."""

from __future__ import annotations

import asyncio

import pytest

from llmhub.types.v1.route_pb2 import Outcome
from tests.crash.callers import End
from tests.crash.scene import Scene

pytestmark = pytest.mark.slow

_SERVICES = ("auth", "billing", "providers", "router", "gateway", "edge")
_FIRST = ("gateway", "billing", "providers", "gateway")
_OFF_THE_PATH = frozenset({"auth", "billing"})
"""Calls with a known key need them no more once they run."""


@pytest.mark.parametrize("scene", [1], indirect=True, ids=["kills"])
async def test_each_attempt_is_booked_once(scene: Scene) -> None:
    for name in _SERVICES:
        _serve(scene, name)
    await asyncio.to_thread(scene.mesh.wait_ready)
    await scene.load.heal()
    plan = [*_FIRST, *scene.chance.choices(_SERVICES, k=scene.kills)][: scene.kills]
    scene.chance.shuffle(plan)
    for victim in plan:
        before = len(scene.load.calls)
        async with scene.load.running():
            await scene.a_moment(1.0)
            _kill_and_serve(scene, victim)
            await scene.load.heal()
        lost = [call for call in scene.load.calls[before:] if call.end == End.BROKEN]
        assert victim not in _OFF_THE_PATH or not lost, f"{victim} was killed: {lost[:5]}"
    scene.mesh.processes.sort(key=lambda process: _SERVICES.index(process.name))
    rows = await scene.reckon()
    assert Outcome.OUTCOME_CRASHED in {row.outcome for row in rows}


def _serve(scene: Scene, name: str) -> None:
    port = ["--port", str(scene.mesh.port)] if name == "edge" else []
    scene.mesh.spawn(name, ["serve", name, *scene.common, *port])


def _kill_and_serve(scene: Scene, name: str) -> None:
    scene.kill(next(process for process in scene.mesh.processes if process.name == name))
    if name == "edge":
        scene.has_released_its_port()
    if name == "gateway":
        scene.examine()
    _serve(scene, name)
