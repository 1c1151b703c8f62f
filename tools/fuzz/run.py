"""Feeds the operations with inputs for a while, and keeps account."""

from __future__ import annotations

import base64
import json
import random
import time
import traceback
from dataclasses import dataclass, field, replace
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, Final

from services.runtime.errors import LlmhubError
from tests.support.damage import names_in
from tools.fuzz.mutations import mutate
from tools.fuzz.operations import BrokenPromiseError, Operation, Watch

SLOW_SECONDS: Final = 0.05
"""Time of one step that is too much for an input of SLOW_BYTES or less; for a longer one in proportion."""
SLOW_BYTES: Final = 100_000
TURN: Final = 40
"""Inputs for one operation before it is the next one's turn."""
_BETWEEN_REPORTS: Final = 5.0
_PER_KIND: Final = 3


@dataclass(slots=True)
class Account:
    """What became of one operation's inputs."""

    inputs: int = 0
    refused: int = 0
    largest: int = 0
    crashes: dict[str, int] = field(default_factory=dict)
    slow: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    slowest_step: str = ""
    slowest_bytes: int = 0

    def add(self, other: Account) -> None:
        """Add another process's account."""
        self.inputs += other.inputs
        self.refused += other.refused
        self.largest = max(self.largest, other.largest)
        for mine, more in ((self.crashes, other.crashes), (self.slow, other.slow)):
            for kind, count in more.items():
                mine[kind] = mine.get(kind, 0) + count
        if other.slowest > self.slowest:
            self.slowest = other.slowest
            self.slowest_step, self.slowest_bytes = other.slowest_step, other.slowest_bytes


class Worker:
    """One process's share: all operations in turns, from a seed of its own."""

    def __init__(self, operations: list[Operation], out: Path, seed: int) -> None:
        self._operations = [named(each) for each in operations]
        self._out = out
        self._dice = random.Random(seed)
        self._accounts = {each.name: Account() for each in operations}

    def run(self, seconds: float, reports: Queue[dict[str, Account]]) -> None:
        """Go on for so long, reporting what is new every few seconds."""
        end = time.monotonic() + seconds
        due = time.monotonic() + _BETWEEN_REPORTS
        while time.monotonic() < end:
            for operation in self._operations:
                for _ in range(TURN):
                    self._one(operation)
                    if time.monotonic() >= due:
                        due = time.monotonic() + _BETWEEN_REPORTS
                        self._report(reports)
                if time.monotonic() >= end:
                    break
        self._report(reports)

    def _report(self, reports: Queue[dict[str, Account]]) -> None:
        reports.put(self._accounts)
        self._accounts = {each.name: Account() for each in self._operations}

    def _one(self, operation: Operation) -> None:
        data = mutate(self._dice, operation.seeds, operation.names, operation.framing)
        seed = self._dice.randrange(2**32)
        account = self._accounts[operation.name]
        account.inputs += 1
        account.largest = max(account.largest, len(data))
        watch, crash = attempt(operation, data, seed)
        if crash == "refused":
            account.refused += 1
        elif crash:
            account.crashes[crash] = account.crashes.get(crash, 0) + 1
            self._write(operation.name, crash, data, seed, account.crashes[crash])
        self._time(operation, account, data, seed, watch)

    def _time(self, operation: Operation, account: Account, data: bytes, seed: int, watch: Watch) -> None:
        share = max(1.0, len(data) / SLOW_BYTES)
        worst = max(watch.steps, key=lambda step: watch.steps[step], default="")
        if not worst:
            return
        if watch.steps[worst] / share > SLOW_SECONDS:
            # Once more: the collector, or a cold cache, may have had its turn in the first.
            for _ in range(2):
                again, _ = attempt(operation, data, seed)
                watch.steps = {
                    step: min(took, again.steps.get(step, took)) for step, took in watch.steps.items()
                }
            worst = max(watch.steps, key=lambda step: watch.steps[step])
        rate = watch.steps[worst] / share
        if rate > account.slowest:
            account.slowest, account.slowest_step, account.slowest_bytes = rate, worst, len(data)
        if rate > SLOW_SECONDS:
            account.slow[worst] = account.slow.get(worst, 0) + 1
            self._write(operation.name, f"slow {worst}: {rate * 1e3:.0f} ms", data, seed, account.slow[worst])

    def _write(self, operation: str, what: str, data: bytes, seed: int, count: int) -> None:
        if count > _PER_KIND:
            return
        self._out.mkdir(parents=True, exist_ok=True)
        row = {"operation": operation, "seed": seed, "what": what, "input": base64.b64encode(data).decode()}
        kind = "slow" if what.startswith("slow ") else "crash"
        file = self._out / f"{kind}-{operation.replace(' ', '-')}-{time.time_ns():x}.json"
        file.write_text(json.dumps(row))


def attempt(operation: Operation, data: bytes, seed: int) -> tuple[Watch, str]:
    """Give one input to one operation; say `refused`, or what was raised and where, or nothing."""
    watch = Watch()
    try:
        operation.check(data, random.Random(seed), watch)
    except LlmhubError:
        return watch, "refused"
    except Exception as error:  # noqa: BLE001 - finding these is the purpose
        words = f" ({error})" if isinstance(error, BrokenPromiseError) else ""
        return watch, f"{type(error).__name__} at {_place(error)}{words}"
    return watch, ""


def _place(error: Exception) -> str:
    """The innermost line of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if "/services/" in each.filename] or frames
    last = ours[-1]
    return f"{last.filename.rpartition('/services/')[2]}:{last.lineno}"


def named(operation: Operation) -> Operation:
    """The operation with the member names that its seeds use."""
    found: set[str] = set()
    for seed in operation.seeds[:200]:
        value: Any = None
        try:
            value = json.loads(seed)
        except (ValueError, RecursionError):
            for piece in seed.split(b"data: ")[1:]:
                try:
                    found.update(names_in(json.loads(piece.partition(b"\n")[0])))
                except ValueError:
                    continue
        found.update(names_in(value))
    return replace(operation, names=sorted(found | {"error", "$shape", "type"}))
