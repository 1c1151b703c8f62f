"""Kill -9 of the one process that runs everything, at any moment, its start included."""

from __future__ import annotations

import asyncio

import pytest

from llmhub.types.v1.route_pb2 import Outcome
from tests.crash.scene import Scene, crashed_midway

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scene", [3], indirect=True, ids=["kills"])
async def test_each_attempt_is_booked_once(scene: Scene) -> None:
    arguments = ["up", *scene.common, "--port", str(scene.mesh.port)]
    for number in range(scene.kills):
        process = scene.mesh.spawn("up", arguments)
        if number % 6 == 5:
            await scene.a_moment(1.5)  # while it starts, which is while it repairs what the last kill left
        else:
            await asyncio.to_thread(scene.mesh.wait_ready)
            async with scene.load.running():
                # Now and then long enough for billing's acknowledgements to be acted upon.
                await scene.a_moment(2.5 if number % 4 == 0 else 0.7)
                scene.kill(process)
        if process in scene.mesh.processes:
            scene.kill(process)
        scene.has_released_its_port()
        scene.examine()
    scene.mesh.spawn("up", arguments)
    await asyncio.to_thread(scene.mesh.wait_ready)
    await scene.load.heal()
    rows = await scene.reckon()
    assert crashed_midway(rows)
    assert {row.outcome for row in rows} >= {
        Outcome.OUTCOME_OK,
        Outcome.OUTCOME_CRASHED,
        Outcome.OUTCOME_ABORTED_CLIENT,
        Outcome.OUTCOME_UPSTREAM_ERROR,
        Outcome.OUTCOME_NOT_SENT,
    }
