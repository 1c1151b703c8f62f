"""curl, as people type it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.support.mesh import ADMIN_KEY, Mesh


@dataclass(frozen=True, slots=True)
class Reply:
    """What curl printed."""

    status: int
    content_type: str
    text: str
    request_id: str = ""
    """The header of that name."""

    @property
    def json(self) -> Any:
        """The body by value."""
        return json.loads(self.text)

    @property
    def events(self) -> list[Any]:
        """The payloads of server-sent events."""
        return [json.loads(line[5:]) for line in self.text.splitlines() if line.startswith("data:")]


def curl(
    mesh: Mesh,
    method: str,
    path: str,
    body: object = None,
    *,
    key: str = ADMIN_KEY,
    more: tuple[str, ...] = (),
) -> Reply:
    """Make one call."""
    command = [
        "curl",
        "-sS",
        "-N",
        "--max-time",
        "20",
        "-X",
        method,
        "-w",
        "\n%{http_code} %header{x-request-id} %{content_type}",
    ]
    command += ["-H", f"authorization: Bearer {key}", *more]
    if body is not None:
        command += ["-H", "content-type: application/json", "--data-binary", json.dumps(body)]
    done = subprocess.run([*command, mesh.base_url + path], capture_output=True, check=True, timeout=30)
    text, _, last = done.stdout.decode().rpartition("\n")
    status, request_id, content_type = last.split(" ", 2)
    return Reply(int(status), content_type, text, request_id)
