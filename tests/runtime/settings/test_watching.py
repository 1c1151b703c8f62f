"""A changed file is applied once it has settled, and a broken one changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.runtime.settings import ConfigError, Fault, watch, watching
from tests.runtime.fakes import until


class Watched:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.applied: list[str] = []
        self.loads = 0

    def load(self) -> str:
        self.loads += 1
        text = self.path.read_text()
        if text == "bad":
            raise ConfigError([Fault(str(self.path), 1, "a", "is bad", "mend it")])
        return text

    def apply(self, text: str) -> None:
        if text == "explode":
            raise RuntimeError
        self.applied.append(text)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    path = tmp_path / "c.yaml"
    path.write_text("first")
    watched = Watched(path)
    task = asyncio.create_task(watch(path, watched.load, watched.apply, interval=0.01))
    await asyncio.sleep(0)
    yield watched
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_change_is_applied_once(watched: Watched) -> None:
    watched.path.write_text("second")
    await until(lambda: watched.applied)
    replacement = watched.path.with_suffix(".new")
    replacement.write_text("third")
    replacement.rename(watched.path)
    await until(lambda: len(watched.applied) == 2)
    assert watched.applied == ["second", "third"]
    assert watched.loads == 2


async def test_a_broken_file_changes_nothing_and_is_told(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("bad", "explode"):
        watched.loads = 0
        watched.path.write_text(text)
        await until(lambda: watched.loads)
    watched.path.unlink()
    watched.path.write_text("good")
    await until(lambda: watched.applied == ["good"])
    first = caplog.records[0].msg
    assert isinstance(first, dict)
    assert first["config_fault"] == [f"{watched.path}:1: a: is bad; mend it"]


async def test_a_file_that_is_still_being_written_is_left_alone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = [(n, 0, 0) for n in range(5)] + [None, (6, 0, 0), (6, 0, 0)]
    looks = 0

    def stamp(_: Path) -> object:
        nonlocal looks
        looks += 1
        return states[min(looks, len(states)) - 1]

    monkeypatch.setattr(watching, "_stamp", stamp)
    await until(lambda: watched.loads)
    assert looks >= len(states)


async def test_an_empty_file_is_a_file_that_is_being_written(watched: Watched, tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.touch()
    assert watching._stamp(empty) is None
    watched.path.write_text("")
    watched.path.write_text("second")
    await until(lambda: watched.applied)
    assert watched.applied == ["second"]
