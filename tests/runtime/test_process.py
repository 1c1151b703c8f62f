"""A process ends when asked, in order, and never pretends to be well."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PRELUDE = """
import asyncio, sys
from contextlib import asynccontextmanager
from services.runtime import process

def say(text):
    print(text, flush=True)

class Part:
    def __init__(self, name, drain=None):
        self.name, self.how = name, drain
    async def drain(self, grace):
        say(f"drain {self.name} {grace:.0f}")
        if self.how:
            await self.how()

@asynccontextmanager
async def part(name, drain=None):
    say(f"enter {name}")
    try:
        yield Part(name, drain)
    finally:
        say(f"leave {name}")

def main(parts, grace=5):
    sys.exit(process.run(process.serve(parts, grace=grace, started=lambda: say("started"))))
"""

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def start(script: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PRELUDE + textwrap.dedent(script)]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        running.append(child)
        return child

    yield start
    for child in running:
        child.kill()
        child.communicate()


def until(child: subprocess.Popen[bytes], line: str) -> list[str]:
    """Lines of the child up to this one."""
    assert child.stdout is not None
    seen: list[str] = []
    # Unbuffered, so that nothing is taken from what `rest` reads.
    while text := child.stdout.readline().decode():
        seen.append(text.strip())
        if text.strip() == line:
            return seen
    raise AssertionError(seen)


def rest(child: subprocess.Popen[bytes]) -> tuple[list[str], str]:
    """What else the child says, and its errors, once it has ended."""
    out, err = child.communicate(timeout=20)
    return out.decode().splitlines(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_closes_in_reverse(start: Start, number: signal.Signals) -> None:
    child = start("main(lambda life: [part('a'), part('b')])")
    assert until(child, "started") == ["enter a", "enter b", "started"]
    child.send_signal(number)
    out, err = rest(child)
    assert out == ["drain b 5", "drain a 5", "leave b", "leave a"]
    assert child.returncode == 0, err


def test_a_second_signal_ends_at_once(start: Start) -> None:
    child = start("main(lambda life: [part('a', asyncio.Event().wait)], grace=60)")
    until(child, "started")
    child.terminate()
    until(child, "drain a 60")
    while child.poll() is None:
        child.terminate()
    assert rest(child)[0] == []
    assert child.returncode == 128 + signal.SIGTERM


def test_signals_that_come_together_are_one(start: Start) -> None:
    child = start("main(lambda life: [part('a', lambda: asyncio.sleep(0.5))])")
    until(child, "started")
    for _ in range(3):
        child.terminate()
    assert rest(child)[0] == ["drain a 5", "leave a"]
    assert child.returncode == 0


def test_a_part_that_does_not_drain_is_not_waited_for(start: Start) -> None:
    child = start("main(lambda life: [part('a'), part('b', asyncio.Event().wait)], grace=0)")
    until(child, "started")
    child.terminate()
    assert rest(child)[0] == ["drain b 0", "drain a 0", "leave b", "leave a"]
    assert child.returncode == 0


def test_a_signal_during_the_start_undoes_what_was_started(start: Start) -> None:
    child = start(
        """
        @asynccontextmanager
        async def stuck():
            say("stuck")
            await asyncio.Event().wait()
            yield
        main(lambda life: [part("a"), stuck()])
        """
    )
    until(child, "stuck")
    child.terminate()
    assert rest(child)[0] == ["leave a"]
    assert child.returncode == 0


def test_a_part_that_cannot_start_undoes_the_others(start: Start) -> None:
    child = start(
        """
        @asynccontextmanager
        async def broken():
            raise RuntimeError("no")
            yield
        main(lambda life: [part("a"), broken()])
        """
    )
    out, err = rest(child)
    assert out == ["enter a", "leave a"]
    assert child.returncode == 1
    assert "RuntimeError" in err


@pytest.mark.parametrize(
    ("work", "code"), [("raise ValueError", 1), ("return", 1), ("await asyncio.Event().wait()", 0)]
)
def test_a_task_without_which_the_process_is_useless_ends_it(start: Start, work: str, code: int) -> None:
    child = start(
        f"""
        async def work():
            {work}
        @asynccontextmanager
        async def with_task(life):
            task = asyncio.create_task(work())
            life.guard(task)
            yield
            task.cancel()
        main(lambda life: [part("a"), with_task(life)])
        """
    )
    until(child, "started")
    if code == 0:
        child.terminate()
    out, _ = rest(child)
    assert out == ["drain a 5", "leave a"]
    assert child.returncode == code


def test_the_loop_is_uvloop_and_forgotten_errors_are_logged(start: Start) -> None:
    pytest.importorskip("uvloop", reason="uvloop does not exist on this platform")
    child = start(
        """
        from services.runtime import log
        log.configure()
        async def fail():
            raise ValueError("canary-77")
        async def main():
            say(type(asyncio.get_running_loop()).__module__)
            asyncio.create_task(fail())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            import gc; gc.collect()
        process.run(main())
        """
    )
    out, err = rest(child)
    assert out == ["uvloop"]
    assert '"type":"ValueError"' in err
    assert "canary-77" not in err
