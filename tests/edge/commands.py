"""Starts llmhub as its users do, and sees it end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
KEY = "an-administrator-s-key-for-tests-0123456789"
SECONDS = 90.0


def start(folder: Path, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
    """Start `llmhub` with its output in files of the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMHUB_")}
    name = "-".join(arguments[:2]).replace("/", "_")
    with (folder / f"{name}.out").open("wb") as out, (folder / f"{name}.err").open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "services.mesh", *arguments],
            cwd=folder,
            env={
                **kept,
                "PYTHONPATH": f"{ROOT}:{ROOT / 'gen' / 'python'}",
                "LLMHUB_BOOTSTRAP_KEY": KEY,
                "LLMHUB_ADMIN__PORT": "0",
                **environ,
            },
            stdout=out,
            stderr=err,
        )


@dataclass
class Installation:
    """Processes that make one llmhub, and how to reach it."""

    folder: Path
    url: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30, verify=False
        )

    def run(self, *arguments: str, **environ: str) -> None:
        self.processes.append(start(self.folder, *arguments, **environ))

    def until_ready(self) -> float:
        """Wait for GET /health and return the seconds since now."""
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"ended with {process.returncode}:\n{self.said()}")
            with contextlib.suppress(httpx.TransportError):
                if self.client.get("/health").status_code == 200:
                    return time.monotonic() - began
            time.sleep(0.02)
        raise RuntimeError(f"not ready:\n{self.said()}")

    def said(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.err")))

    def chat(self, text: str = "Hello") -> Any:
        """Ask the simulated provider over the OpenAI door."""
        body = {"model": "sim/echo", "messages": [{"role": "user", "content": text}]}
        return self.client.post("/v1/chat/completions", json=body)

    def recorded(self, attempts: int, lost: int = 0) -> None:
        """Wait until so many attempts are in the books; of the `lost` ones besides, each may be there or not."""
        deadline = time.monotonic() + 20
        found: list[Any] = []
        while time.monotonic() < deadline and len(found) < attempts:
            found = self.client.get("/api/v1/usage").json()["records"]
        assert attempts <= len(found) <= attempts + lost

    def stop(self) -> list[int]:
        """Ask every process to stop, the last started first, and return their exit codes."""
        self.client.close()
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        return [process.wait(SECONDS) for process in self.processes]

    def kill(self) -> None:
        self.client.close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(SECONDS)
