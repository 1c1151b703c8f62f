"""Callers that ask one question after another until they are told to stop."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.doors import Door
from tests.support.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Asked:
    """One call. Instants are on the monotonic clock."""

    door: str
    began: float
    ended: float
    outcome: Outcome


class Traffic:
    """A thread for each door given."""

    def __init__(self, doors: Sequence[Door], model: str) -> None:
        self._model = model
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._asked: list[Asked] = []
        self._threads = [threading.Thread(target=self._run, args=(door,), daemon=True) for door in doors]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> list[Asked]:
        """End the traffic and return every call, in the order they ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        return self.asked()

    def asked(self) -> list[Asked]:
        """Return the calls that have ended."""
        with self._changed:
            return list(self._asked)

    def wait_for(self, calls: int, since: float = 0.0) -> None:
        """Return when every door has made so many calls that began after `since`."""

        def enough() -> bool:
            doors: dict[str, int] = {}
            for asked in self._asked:
                doors[asked.door] = doors.get(asked.door, 0) + (asked.began >= since)
            return len(doors) == len(self._threads) and min(doors.values()) >= calls

        with self._changed:
            assert self._changed.wait_for(enough, 30), "the traffic stands still"

    def _run(self, door: Door) -> None:
        number = threading.get_ident()
        while not self._stop.is_set():
            began = time.monotonic()
            outcome = door.ask(self._model, str(uuid.uuid4()))
            with self._changed:
                self._asked.append(Asked(f"{door.name}-{number}", began, time.monotonic(), outcome))
                self._changed.notify_all()
