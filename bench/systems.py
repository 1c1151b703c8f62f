"""The systems under test: how each starts and through which doors it is driven."""

import functools
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.bodies import contract_body, openai_body
from bench.measure import BUILD
from bench.processes import Child, free_port

MODEL = "gpt-4o-mini"
_SERVICE = "/llmhub.completion.v1.CompletionService"


class UnavailableError(Exception):
    """A system cannot be measured here; the text is one line for people."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way into a system. `body` takes the ms between two chunks, None for an answer in one piece."""

    name: str
    client: Literal["http", "grpc"]
    unary_path: str
    stream_path: str
    body: Callable[[int | None], bytes]
    headers: tuple[str, ...] = ()
    few_streams: int = 8
    many_streams: int = 200


@dataclass(frozen=True, slots=True)
class Lab:
    """Where a run happens: scratch folder, running mock and the two cores."""

    folder: Path
    logs: Path
    mock: Child
    mock_port: int
    system_core: int
    load_core: int

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.mock_port}/v1"


@dataclass(frozen=True, slots=True)
class Running:
    """A started system; stopping it is the caller's duty unless it is the mock itself."""

    name: str
    child: Child
    port: int
    doors: tuple[Door, ...]
    ready_seconds: float | None


def openai_door(
    model: str, *headers: str, name: str = "openai", few_streams: int = 8, many_streams: int = 200
) -> Door:
    path = "/v1/chat/completions"
    body = functools.partial(openai_body, model)
    return Door(name, "http", path, path, body, headers, few_streams, many_streams)


def start_mock(folder: Path, logs: Path, core: int) -> tuple[Child, int]:
    """The upstream that every system talks to."""
    port = free_port()
    child = Child([BUILD / "mock", str(port)], core=core, log=logs / "mock.log", folder=folder)
    child.wait_until_ready(port, seconds=5)
    return child, port


def start_direct(lab: Lab) -> Running:
    """The control: no gateway between load and mock."""
    return Running("direct", lab.mock, lab.mock_port, (openai_door(MODEL),), None)


def llmhub_command(chosen: Path | None) -> list[str | Path]:
    """The llmhub to start: the chosen one, else the one installed beside this Python."""
    command = chosen or Path(sys.executable).parent / "llmhub"
    if not command.exists():
        found = shutil.which("llmhub")
        if chosen or found is None:
            raise UnavailableError(f"there is no {command}")
        command = Path(found)
    return [command]


def start_llmhub(lab: Lab, command: list[str | Path]) -> Running:
    """All-in-one on embedded defaults, one configured provider: the mock."""
    port, key = free_port(), secrets.token_hex(20)
    config = lab.folder / "llmhub.yaml"
    settings = {  # JSON is YAML
        "edge": {"host": "127.0.0.1", "port": port},
        "data_dir": str(lab.folder / f"data-{port}"),
        "providers": {"mock": {"dialect": "openai", "base_url": lab.upstream, "api_key": "x"}},
    }
    config.write_text(json.dumps(settings))
    child = Child(
        [*command, "up", "--config", config, "--port", str(port)],
        core=lab.system_core,
        log=lab.logs / "llmhub.log",
        folder=lab.folder,
        env={"LLMHUB_BOOTSTRAP_KEY": key, "LLMHUB_PORT": str(port)},
    )
    try:
        seconds = child.wait_until_ready(port, "/health", seconds=60)
    except BaseException:
        child.stop()
        raise
    return Running("llmhub", child, port, _llmhub_doors(f"authorization: Bearer {key}"), seconds)


def _llmhub_doors(key: str) -> tuple[Door, ...]:
    model = f"mock/{MODEL}"
    body = functools.partial(contract_body, model)
    return (
        openai_door(model, key),
        Door("grpc", "grpc", f"{_SERVICE}/Generate", f"{_SERVICE}/GenerateStream", body, (key,)),
        Door("rest", "http", "/api/v1/completions", "/api/v1/stream", body, (key,)),
    )


def two_cores() -> tuple[int, int]:
    """One core for the system under test, one for mock and load; the same one twice if there is no other."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[min(1, len(cores) - 1)]
