"""The product as users start it: child processes with a configuration, a data folder and a port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import yaml

from tests.support.ports import free_port

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = Path(sys.executable).with_name("llmhub")
ADMIN_KEY: Final = "bootstrap-key-of-the-tests-0123456789abcdef"
READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0
FIRST_TO_STOP: Final = ("edge", "gateway")
"""Of a mesh of processes: what they owe goes to the others."""


@dataclass(slots=True)
class Process:
    """One child of ours, with its log."""

    name: str
    child: subprocess.Popen[bytes]
    log: Path
    told: bool = False
    """It has been asked to end; a second time would mean at once."""

    def tail(self, lines: int = 60) -> str:
        """Return the end of the log, for a failure's message."""
        text = self.log.read_text(errors="replace").splitlines()
        return f"--- {self.name} (pid {self.child.pid}, exit {self.child.poll()})\n" + "\n".join(
            text[-lines:]
        )

    def ask_to_end(self) -> None:
        """Send SIGTERM, once."""
        if not self.told and self.child.poll() is None:
            self.told = True
            self.child.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask it to end, and return its exit status. Kills it when it does not."""
        self.ask_to_end()
        try:
            return self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
            raise AssertionError(f"{self.name} did not stop on SIGTERM\n{self.tail()}") from None


@dataclass(slots=True)
class Mesh:
    """A running product."""

    folder: Path
    config: Mapping[str, Any]
    port: int = field(default_factory=free_port)
    processes: list[Process] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its processes see beside the tests' own environment."""

    @property
    def base_url(self) -> str:
        """The edge."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def target(self) -> str:
        """The edge as a gRPC target."""
        return f"127.0.0.1:{self.port}"

    @property
    def config_file(self) -> Path:
        """The configuration as the product reads it."""
        return self.folder / "llmhub.yaml"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    def write_config(self) -> None:
        """Write the configuration file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(yaml.safe_dump(dict(self.config), sort_keys=False))

    def spawn(self, name: str, arguments: Sequence[str]) -> Process:
        """Start `llmhub` with these arguments, in a process group of its own."""
        log = self.folder / f"{name}.log"
        own = {"LLMHUB_BOOTSTRAP_KEY": ADMIN_KEY, "PYTHONUNBUFFERED": "1", **self.environment}
        environment = {**os.environ, **own}
        with log.open("ab") as out:
            child = subprocess.Popen(
                [str(PROGRAM), *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(name, child, log)
        self.processes.append(process)
        return process

    def up(self, *arguments: str) -> Self:
        """Start `llmhub up` and wait until it is ready."""
        self.write_config()
        common = ["--config", str(self.config_file), "--data", str(self.data), "--port", str(self.port)]
        self.spawn("up", ["up", *common, *arguments])
        return self.wait_ready()

    def serve(self, *parts: str) -> Self:
        """Start `llmhub serve` once for each part, all at the same time, and wait until the edge is ready."""
        self.write_config()
        common = ["--config", str(self.config_file), "--data", str(self.data)]
        for part in parts:
            port = ["--port", str(self.port)] if part == "edge" else []
            self.spawn(part.replace(" ", ""), ["serve", *part.split(), *common, *port])
        return self.wait_ready()

    def wait_ready(self) -> Self:
        """Return when GET /health answers 200. Raises AssertionError with the logs when it does not."""
        try:
            self._wait_ready()
        except AssertionError:
            self.kill()
            raise
        return self

    def kill(self) -> None:
        """End everything at once."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.child.pid, signal.SIGKILL)
            process.child.wait()

    def _wait_ready(self) -> None:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            dead = [process for process in self.processes if process.child.poll() is not None]
            if dead:
                raise AssertionError(f"{dead[0].name} ended while starting\n{self.logs()}")
            if self._healthy():
                return
            time.sleep(0.05)  # the product has no other way to say that it is ready
        raise AssertionError(f"not ready within {READY_SECONDS} s\n{self.logs()}")

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base_url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def logs(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(process.tail() for process in self.processes)

    def stop(self) -> None:
        """Stop everything, callers first. Raises AssertionError unless all end with 0 and leave none behind."""
        first = [each for name in FIRST_TO_STOP for each in self.processes if each.name == name]
        others = [each for each in self.processes if each not in first]
        statuses = {each.name: each.stop() for each in first}
        for each in others:
            each.ask_to_end()
        statuses |= {each.name: each.stop() for each in others}
        left = [process for process in self.processes if _group_lives(process.child.pid)]
        for process in left:
            os.killpg(process.child.pid, signal.SIGKILL)
        assert not left, f"processes were left behind by {[process.name for process in left]}\n{self.logs()}"
        assert set(statuses.values()) <= {0}, f"exit statuses {statuses}\n{self.logs()}"


def _group_lives(group: int) -> bool:
    """Tell whether a process of this group is still there, zombies aside."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                return True
    return False


@contextlib.contextmanager
def running(mesh: Mesh) -> Iterator[Mesh]:
    """Stop the mesh afterwards."""
    try:
        yield mesh
    finally:
        mesh.stop()
