"""One program on its own: a home of its own, a key of its own, and what it left behind at llmhub."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import grpc

from llmhub.types.v1.route_pb2 import Outcome
from llmhub.usage.v1.usage_service_pb2 import ListUsageRequest, UsageFilter, UsageRecord
from llmhub.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from tests.programs.edge_log import EdgeLog, Line
from tests.programs.model import Model
from tests.programs.outside import Outside
from tests.programs.recipes import recipes
from tests.programs.words.spoken import INPUT_TOKENS, OUTPUT_TOKENS
from tests.support import keys
from tests.support.mesh import ADMIN_KEY, ROOT, Mesh

TOOLS: Final = ROOT / ".tools" / "programs"
NODE_PROGRAMS: Final = TOOLS / "node" / "node_modules" / ".bin"
PYTHON: Final = TOOLS / "libraries" / "bin"
LITELLM: Final = TOOLS / "litellm" / "bin"
SECONDS: Final = 120.0
BOOKED_SECONDS: Final = 15.0
SECRET: Final = "the password is heron-42"
"""What the file `secret.txt` in the folder of every program says."""


class Visit:
    """Runs a program with nothing of this machine's but its tools."""

    def __init__(self, mesh: Mesh, channel: grpc.Channel, outside: Outside, folder: Path) -> None:
        self.mesh = mesh
        self.home = folder / "home"
        self.work = self.home / "work"
        self.work.mkdir(parents=True)
        (self.work / "secret.txt").write_text(f"{SECRET}\n")
        made = keys.create(channel, "a program")
        self.secret = made.secret
        self._key_id = made.key.key_id
        self._usage: Any = UsageServiceStub(cast(Any, channel))
        self._outside = outside
        self._log = EdgeLog(mesh)

    def recipe(self, title: str, model: str) -> str:
        """Return a recipe of docs/programs.md for this mesh."""
        return recipes()[title].at(self.mesh.base_url, model)

    def shell(self, recipe: str, command: str) -> str:
        """Run a recipe of the shell and then a command; return what it printed."""
        return self.run(["bash", "-euc", f"{recipe}\n{command} </dev/null"])

    def python(self, program: str, folder: Path = PYTHON) -> str:
        """Run a program in Python, as a file of its own; return what it printed."""
        file = self.home / "program.py"
        file.write_text(program)
        return self.run([str(folder / "python"), "-I", str(file)])

    def run(self, command: Sequence[str]) -> str:
        """Run a command; return what it printed. Raises AssertionError unless it ends with 0 in time."""
        done = subprocess.run(
            command,
            cwd=self.work,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        printed = f"{done.stdout}\n--- standard error\n{done.stderr}"
        assert done.returncode == 0, f"exit code {done.returncode}\n{printed}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        path = [str(NODE_PROGRAMS), str(PYTHON), os.environ["PATH"]]
        proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return {
            "HOME": str(self.home),
            "PATH": os.pathsep.join(path),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "LLMHUB_KEY": self.secret,
            **dict.fromkeys((*proxies, *(name.lower() for name in proxies)), self._outside.proxy),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def check(self, model: Model, *, path: str, probes: Sequence[Line] = ()) -> None:
        """Hold to its traffic: every call came by this path or is one of the probes, was answered and is booked."""
        calls = [line for line in self._log.lines() if line not in probes]
        assert {(line.path, line.status) for line in calls} == {(path, 200)}, calls
        assert len(calls) == len(model.asked), calls
        records = self._booked(len(model.asked))
        told = {
            (each.provider, each.model, each.outcome, each.usage.input_tokens, each.usage.output_tokens)
            for each in records
        }
        provider, _, name = model.name.partition("/")
        assert told == {(provider, name, Outcome.OUTCOME_OK, INPUT_TOKENS, OUTPUT_TOKENS)}, told
        assert self._outside.asked == [], f"it wanted to go to {self._outside.asked}"

    def _booked(self, attempts: int) -> list[UsageRecord]:
        until = time.monotonic() + BOOKED_SECONDS
        metadata = (("authorization", f"Bearer {ADMIN_KEY}"),)
        asked = ListUsageRequest(filter=UsageFilter(key_id=self._key_id), page_size=500)
        while True:
            found = list(self._usage.ListUsage(asked, metadata=metadata, timeout=BOOKED_SECONDS).records)
            if len(found) >= attempts:
                assert len(found) == attempts
                return found
            assert time.monotonic() < until, f"{len(found)} of {attempts} calls are booked"
            time.sleep(0.05)  # rows come in batches, and nothing tells when
