"""Processes under test: start them on a core, read the CPU and memory of their whole tree, stop them."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 10.0


class NotReadyError(Exception):
    """A process did not come up; the text is one line for people."""


class Child:
    """A process group leader pinned to one core, with its output in a file."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        core: int,
        log: Path,
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*pinned(core), *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=folder,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """End the process politely, then whatever of its tree is left by force."""
        members = list(tree(self.pid))
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in members:
            if pid != self.pid and _in_session(pid, self.pid):
                os.kill(pid, signal.SIGKILL)

    def wait_until_ready(self, port: int, path: str | None = None, seconds: float = 120) -> float:
        """Wait for the port to open, or for `path` to answer 200; returns the seconds it took."""
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            if self._process.poll() is not None:
                raise NotReadyError(f"it exited with {self._process.returncode}: {self.last_line()}")
            if _answers(port, path):
                return time.monotonic() - begin
            time.sleep(0.02)
        raise NotReadyError(f"not ready after {seconds:.0f} s: {self.last_line()}")

    def last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "no output"


def pinned(core: int) -> list[str]:
    """The words before a command that keep it on one core."""
    return ["taskset", "-c", str(core)] if shutil.which("taskset") else []


def _answers(port: int, path: str | None) -> bool:
    try:
        if path is None:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _in_session(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session
    except ProcessLookupError:
        return False


def tree(pid: int) -> Iterator[int]:
    """The process and all its living descendants."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))
    except (FileNotFoundError, ProcessLookupError):
        return


def cpu_seconds(pid: int) -> float:
    """User and system time of the whole tree, ended threads included.

    The kernel's per-process clock counts ns where /proc/PID/stat counts 10 ms ticks, too coarse at 20
    requests/s. Its id is made from the pid as clock_getcpuclockid(3) makes it.
    """
    total = 0.0
    for member in tree(pid):
        try:
            total += time.clock_gettime((~member << 3) | 2)
        except OSError:
            continue
    return total


def rss_mib(pid: int) -> float:
    """Resident memory of the whole tree in MiB; pages shared by two processes count twice."""
    total = 0
    for member in tree(pid):
        try:
            status = Path(f"/proc/{member}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return total / 1024


def machine_cpu_seconds() -> float:
    """CPU time that anything on this machine has used since boot, all cores."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS


def free_port() -> int:
    """A loopback port below the ephemeral range, free a moment ago."""
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
