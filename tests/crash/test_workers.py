"""Kill -9 of a worker, of the control process and of their supervisor, under `--workers 2`."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from llmhub.types.v1.route_pb2 import Outcome
from tests.crash.callers import End
from tests.crash.scene import Scene
from tests.crash.victims import Life, child_with, kill, until_gone

pytestmark = pytest.mark.slow

_VICTIMS = ("worker-0/2", "control/2", "worker-1/2", "up")


@pytest.mark.parametrize("scene", [1], indirect=True, ids=["kills"])
async def test_each_attempt_is_booked_once(scene: Scene) -> None:
    await _up(scene)
    plan = [*_VICTIMS, *scene.chance.choices(_VICTIMS, k=scene.kills)][: scene.kills]
    scene.chance.shuffle(plan)
    for victim in plan:
        async with scene.load.running():
            await scene.a_moment(1.0)
            if victim != "up":
                await _kill_child(scene, victim)
                await scene.load.heal()
                continue
            scene.kill(scene.mesh.processes[0])
        scene.has_released_its_port()
        scene.examine()
        await _up(scene)
        await scene.load.heal()
    rows = await scene.reckon()
    assert Outcome.OUTCOME_CRASHED in {row.outcome for row in rows}


@pytest.mark.parametrize("scene", [0], indirect=True, ids=["restart"])
async def test_a_restart_loses_no_call_that_had_not_started(scene: Scene) -> None:
    await _up(scene)
    supervisor = scene.mesh.processes[0].child.pid
    async with scene.load.running():
        await scene.a_moment(0.5)
        victim = await _find(supervisor, "worker-0/2")
        os.kill(victim[0], signal.SIGTERM)
        await asyncio.to_thread(until_gone, [victim])
        await _find(supervisor, "worker-0/2")
    await scene.load.heal()
    await scene.reckon()
    started = scene.evidence.sent()
    lost = [call for call in scene.load.calls if call.end == End.BROKEN and call.request_id not in started]
    assert not lost, "\n".join(f"{call.request_id} {call.model}: {call.why}" for call in lost)


async def _up(scene: Scene) -> None:
    scene.mesh.spawn("up", ["up", *scene.common, "--port", str(scene.mesh.port), "--workers", "2"])
    await asyncio.to_thread(scene.mesh.wait_ready)


async def _kill_child(scene: Scene, name: str) -> None:
    """Kill it, and look at what it left before its supervisor starts it again."""
    supervisor = scene.mesh.processes[0].child.pid
    victim = await _find(supervisor, name)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        kill(victim)
        if name != "control/2":
            scene.examine(int(name[len("worker-")]))
    finally:
        os.kill(supervisor, signal.SIGCONT)


async def _find(supervisor: int, name: str) -> Life:
    """Return the child, waiting for it where it was killed a moment ago."""
    for _ in range(200):
        try:
            return child_with(supervisor, name)
        except AssertionError:
            await asyncio.sleep(0.05)  # a supervisor says nothing of its children to strangers
    return child_with(supervisor, name)
