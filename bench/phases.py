"""The load phases that every door goes through, and the command lines of the two clients."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.bodies import CHUNKS
from bench.measure import BUILD, Sample, Watched, run_load
from bench.systems import Door, Lab, Running, start_direct


@dataclass(frozen=True, slots=True)
class Phase:
    """`gap_ms` between chunks, None: answers in one piece; `length` is a multiple of the run's duration."""

    name: str
    about: str
    gap_ms: int | None
    concurrency: int
    rate: float = 0
    warm_up: float = 1
    length: float = 1


PLAIN = Phase("plain", "32 requests at a time, answers in one piece", None, 32, warm_up=3)
LOW = Phase("low", "20 requests a second, answers in one piece", None, 16, rate=20, warm_up=0.5, length=1.6)
S0 = Phase("s0", "8 streams, chunks back to back", 0, 8)
S5 = Phase("s5", "8 streams, a chunk every 5 ms", 5, 8)
S20 = Phase("s20", "200 streams, a chunk every 20 ms: 10,000 chunks/s offered", 20, 200, warm_up=2.5)
PHASES = {phase.name: phase for phase in (PLAIN, LOW, S5, S0, S20)}


@dataclass(frozen=True, slots=True)
class DoorResult:
    """A door's samples by phase, and the direct low-rate sample taken just before its own."""

    door: str
    samples: Mapping[str, Sample]
    direct_low: Sample | None


@dataclass(frozen=True, slots=True)
class SystemResult:
    """All doors of one system. Memory in MiB of its whole process tree; idle CPU in percent of one core."""

    name: str
    doors: tuple[DoorResult, ...]
    ready_seconds: float | None
    idle_percent: float
    rss_idle: float
    rss_after: float


def run_phase(lab: Lab, running: Running, door: Door, phase: Phase, duration: float) -> Sample:
    """One phase through one door."""
    seconds = duration * phase.length
    watched = Watched(system=running.child.pid, mock=lab.mock.pid)
    return run_load(_command(lab, running.port, door, phase, seconds), seconds, lab.load_core, watched)


def run_direct_low(lab: Lab, duration: float) -> Sample:
    """The low-rate phase without a gateway: what `added` latency is measured against."""
    direct = start_direct(lab)
    return run_phase(lab, direct, direct.doors[0], LOW, duration / 2)


def _command(lab: Lab, port: int, door: Door, phase: Phase, seconds: float) -> list[str | Path]:
    streams = phase.gap_ms is not None
    body = lab.folder / f"{door.name}-{phase.name}.json"
    body.write_bytes(door.body(phase.gap_ms))
    client = [BUILD / "load"] if door.client == "http" else [sys.executable, "-m", "bench.grpc_load"]
    options = {
        "-p": port,
        "-P": door.stream_path if streams else door.unary_path,
        "-b": body,
        "-c": _concurrency(door, phase),
        "-r": phase.rate,
        "-w": phase.warm_up,
        "-d": seconds,
        "-e": CHUNKS if streams else 0,
    }
    headers = [word for header in door.headers for word in ("-H", header)]
    return [*client, *(str(word) for option in options.items() for word in option), *headers]


def _concurrency(door: Door, phase: Phase) -> int:
    if phase is S20:
        return door.many_streams
    return door.few_streams if phase is S5 else phase.concurrency
