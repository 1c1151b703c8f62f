"""Documentation as something to run: its blocks, and a reader who pastes them one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.mesh import ROOT, Mesh

START_AGAIN: Final = "start again"
PRINTED_ADDRESS: Final = "127.0.0.1:8080"
BLOCK_SECONDS: Final = 60.0
_FENCE: Final = re.compile(r"^```(\w*)$")
_ORDER: Final = re.compile(r"^<!-- test: (.+) -->$")


@dataclass(slots=True)
class Block:
    """A fenced block, or an order to the test in a comment (`kind` is then `order`)."""

    place: str
    kind: str
    text: str
    expected: str | None = None
    """What the text block right behind it shows; `…` stands for anything."""


def blocks(page: Path) -> list[Block]:
    """Read the blocks of a page in their order."""
    found: list[Block] = []
    for block in _read(page):
        if block.kind == "text" and found and found[-1].kind in {"sh", "python"}:
            found[-1].expected = block.text
        found.append(block)
    return found


def _read(page: Path) -> Iterator[Block]:
    open_block: Block | None = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        place = f"{page.relative_to(ROOT)}:{number}"
        if open_block is not None:
            if line == "```":
                yield open_block
                open_block = None
            else:
                open_block.text += line + "\n"
        elif fence := _FENCE.match(line):
            open_block = Block(place, fence[1] or "text", "")
        elif order := _ORDER.match(line):
            yield Block(place, "order", order[1])


def matches(expected: str, printed: str) -> bool:
    """Whether the output is what the page shows."""
    pattern = ".*?".join(re.escape(piece) for piece in expected.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@dataclass(slots=True)
class Reader:
    """Sits in a folder that looks like a clone after `make run`, with the mesh in another terminal."""

    mesh: Mesh
    variables: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start the product as `make run` does."""
        self.mesh.spawn("up", ["up", "--port", str(self.mesh.port)])
        self.mesh.wait_ready()

    def read(self, page: list[Block]) -> None:
        """Do what the page says. Raises AssertionError where something else happens than it shows."""
        for block in page:
            if block.kind in {"sh", "python"}:
                printed = self.run(block)
                assert block.expected is None or matches(self._here(block.expected), printed), (
                    f"{block.place} shows\n{block.expected}\nand prints\n{printed}"
                )
            elif block.kind == "order":
                assert block.text == START_AGAIN, f"{block.place}: there is no order {block.text}"
                self.mesh.stop()
                self.mesh.processes.clear()
                self.start()

    def run(self, block: Block) -> str:
        """Run a block and return all it printed."""
        kept = self.mesh.folder / "variables"
        keep = f"export -p > {kept}\n"
        shell = ["bash", "-eu", "-o", "pipefail", "-c", self._here(block.text) + keep]
        python = [sys.executable, "-W", "error", "-c", self._here(block.text)]
        done = subprocess.run(
            shell if block.kind == "sh" else python,
            cwd=self.mesh.folder,
            env={**os.environ, "LLMHUB_BOOTSTRAP_KEY": "", **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BLOCK_SECONDS,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.place} ended with {done.returncode}:\n{done.stdout}"
        if block.kind == "sh":
            self.variables |= _exported(kept.read_text())
        return done.stdout

    def _here(self, text: str) -> str:
        return text.replace(PRINTED_ADDRESS, self.mesh.target)


def _exported(text: str) -> dict[str, str]:
    """Read what `export -p` wrote, as far as the pages set such variables."""
    return dict(re.findall(r'^declare -x ([A-Z][A-Z_]*)="([^"\\\n]*)"$', text, re.MULTILINE))
