"""One load phase: drive a client, read the CPU clocks of everyone while its window is open."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import cpu_seconds, machine_cpu_seconds, pinned

HERE = Path(__file__).resolve().parent
BUILD = HERE / ".build"
_SLACK_SECONDS = 60.0
# The gRPC client imports this package and the generated one, installed or not.
_ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE.parent / 'gen/python'}"}


class CannotBuildError(Exception):
    """The C tools could not be built; the text is one line for people."""


def build_tools() -> None:
    """Compile mock.c and load.c into bench/.build unless they are newer than their sources."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise CannotBuildError("a C compiler is needed: install gcc")
    BUILD.mkdir(exist_ok=True)
    newest = max(source.stat().st_mtime for source in HERE.glob("*.[ch]"))
    for name in ("mock", "load"):
        binary = BUILD / name
        if binary.exists() and binary.stat().st_mtime > newest:
            continue
        command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(binary), str(HERE / f"{name}.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBuildError(f"{name}.c: {done.stderr.strip()[:500]}")


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Milliseconds."""

    count: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What one window of `seconds` saw; CPU in seconds over the same window."""

    seconds: float
    done: int
    chunks: int
    errors: int
    first_error: str
    latency: Quantiles | None
    first_chunk: Quantiles | None
    chunk_delay: Quantiles | None
    system_cpu: float
    mock_cpu: float
    load_cpu: float
    other_cpu: float

    @property
    def cpu_ms_per_request(self) -> float | None:
        return self.system_cpu * 1e3 / self.done if self.done else None

    @property
    def cpu_us_per_chunk(self) -> float | None:
        return self.system_cpu * 1e6 / self.chunks if self.chunks else None

    @property
    def other_cores(self) -> float:
        """Cores that strangers kept busy meanwhile: the noise of this figure."""
        return max(0.0, self.other_cpu / self.seconds)


@dataclass(frozen=True, slots=True)
class Watched:
    """Processes whose CPU a window reads; the system may be the mock itself."""

    system: int
    mock: int


@dataclass(frozen=True, slots=True)
class _Clocks:
    system: float
    mock: float
    load: float
    machine: float

    @classmethod
    def read(cls, watched: Watched, load: int) -> "_Clocks":
        return cls(
            cpu_seconds(watched.system), cpu_seconds(watched.mock), cpu_seconds(load), machine_cpu_seconds()
        )


def run_load(argv: Sequence[str | Path], seconds: float, core: int, watched: Watched) -> Sample:
    """Run a client that prints begin, end and one JSON line (see load.c) and measure its window."""
    with subprocess.Popen(
        [*pinned(core), *map(str, argv)], stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT
    ) as client:
        assert client.stdout is not None
        watchdog = threading.Timer(seconds + _SLACK_SECONDS, client.kill)
        watchdog.start()
        try:
            _expect(client.stdout.readline(), "begin")
            before = _Clocks.read(watched, client.pid)
            _expect(client.stdout.readline(), "end")
            after = _Clocks.read(watched, client.pid)
            answer = client.stdout.read()
        finally:
            watchdog.cancel()
            client.kill()
    return _sample(json.loads(answer), before, after, same=watched.system == watched.mock)


def _expect(line: str, word: str) -> None:
    if line.strip() != word:
        raise RuntimeError(f"the load client said {line.strip()!r} instead of {word!r}")


def _sample(found: Mapping[str, Any], before: _Clocks, after: _Clocks, *, same: bool) -> Sample:
    system, mock, load = after.system - before.system, after.mock - before.mock, after.load - before.load
    accounted = system + load + (0.0 if same else mock)
    return Sample(
        seconds=found["seconds"],
        done=found["done"],
        chunks=found["chunks"],
        errors=found["errors"] + found["refused"],
        first_error=found["first_error"],
        latency=_quantiles(found["latency"]),
        first_chunk=_quantiles(found["first_chunk"]),
        chunk_delay=_quantiles(found["chunk_delay"]),
        system_cpu=system,
        mock_cpu=mock,
        load_cpu=load,
        other_cpu=after.machine - before.machine - accounted,
    )


def _quantiles(found: Mapping[str, Any] | None) -> Quantiles | None:
    return None if found is None else Quantiles(found["count"], found["p50"], found["p99"], found["max"])
