"""One data folder, the processes on it, the load, and the reckoning at the end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field

from llmhub.types.v1.route_pb2 import Outcome
from llmhub.usage.v1.usage_service_pb2 import UsageRecord
from tests.crash.books import Evidence, disagreements, settled
from tests.crash.load import Load
from tests.crash.victims import Life, family, is_free, until_gone
from tests.crash.wreck import Wreck, wrecks
from tests.support.mesh import PROGRAM, Mesh, Process
from tests.support.replay import Replay


@dataclass(slots=True)
class Scene:
    """What a kill test works with."""

    mesh: Mesh
    replay: Replay
    chance: random.Random
    load: Load
    kills: int
    found: list[Wreck] = field(default_factory=list)

    @property
    def common(self) -> list[str]:
        """Options that every command of this installation takes."""
        return ["--config", str(self.mesh.config_file), "--data", str(self.mesh.folder / "data")]

    async def a_moment(self, most: float) -> None:
        """Let some time pass: when the kill comes is the fault that is tried."""
        await asyncio.sleep(self.chance.uniform(0.02, most))

    def examine(self, worker: int | None = None) -> None:
        """Read what dead gateways left: all, or this one. Nobody may own these outboxes now."""
        self.found += wrecks(self.mesh.folder / "data", worker)

    def kill(self, process: Process) -> None:
        """Kill -9 a process that the test started; nothing of it may be left."""
        lives = family(process.child.pid)
        self.bury(process, signal.SIGKILL)
        until_gone(lives)

    def bury(self, process: Process, sign: signal.Signals) -> None:
        """End a process and forget it, so that the end of the test does not ask for its exit status."""
        os.kill(process.child.pid, sign)
        process.child.wait()
        self.mesh.processes.remove(process)

    def has_released_its_port(self) -> None:
        """Raise AssertionError if the port is still held a moment later: the edge may have been about to start."""
        for _ in range(100):
            if is_free(self.mesh.port):
                return
            time.sleep(0.02)  # the kernel tells nobody when a port becomes free
        raise AssertionError(f"port {self.mesh.port} is held by somebody")

    def lives(self) -> list[Life]:
        """Every process of the installation."""
        return [life for process in self.mesh.processes for life in family(process.child.pid)]

    @property
    def evidence(self) -> Evidence:
        """What callers, the provider and the wrecks say."""
        return Evidence(self.load.calls, self.replay.journal.since(), self.found)

    async def reckon(self) -> list[UsageRecord]:
        """Stop in order, and hold the books against all that is known. Returns the rows. Raises AssertionError."""
        evidence = self.evidence
        rows = await settled(self.mesh, evidence)
        lives = self.lives()
        await asyncio.to_thread(self.mesh.stop)
        until_gone(lives)
        found = disagreements(evidence, rows)
        said = self._audit()
        tally = Counter(Outcome.Name(row.outcome) for row in rows)
        print(f"{len(self.load.calls)} calls, {len(self.found)} wrecks, rows: {dict(tally)}")  # noqa: T201 - pytest shows it where a test fails
        assert not found, "\n".join([f"{len(found)} disagreements", *found[:20], said])
        assert said == "no differences", said
        return rows

    def _audit(self) -> str:
        audit = subprocess.run(
            [str(PROGRAM), "audit", *self.common], capture_output=True, text=True, check=False, timeout=60
        )
        return (audit.stdout + audit.stderr).strip()


def crashed_midway(rows: list[UsageRecord]) -> int:
    """How many rows are of attempts that a kill hit after a progress mark."""
    return sum(row.outcome == Outcome.OUTCOME_CRASHED and row.usage.output_tokens > 0 for row in rows)
