"""Where llmhub's Python spends its CPU: py-spy (samples, little disturbance) or cProfile (every call)."""

import io
import pstats
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.phases import PLAIN, S0, S20, Phase, run_phase
from bench.systems import Door, Lab, Running, start_llmhub

_PHASES = (PLAIN, S0, S20)
_ROWS = 40
_SAMPLES_PER_SECOND = 200
_DUMP_SECONDS = 20
_SLEEPER = (
    "Thread.run (threading.py)"  # a thread inside C, as gRPC's poller: it waits, but py-spy calls it busy
)


class ProfileUnavailableError(Exception):
    """The chosen profiler cannot run here; the text is one line for people."""


def profile_llmhub(
    lab: Lab, command: list[str | Path], doors: Sequence[str], seconds: float, tool: str
) -> str:
    """Markdown: for each door and phase the functions that cost most, by own and by cumulative time."""
    py_spy = _py_spy()
    if tool == "py-spy" and py_spy is None:
        raise ProfileUnavailableError("py-spy is not installed: pip install py-spy")
    parts = ["# Profile of llmhub"]
    for name in doors:
        for phase in _PHASES:
            print(f"profiling {name} {phase.name}", flush=True)
            if py_spy and tool != "cprofile":
                text = _sampled(lab, command, name, phase, seconds, py_spy)
            else:
                text = _traced(lab, command, name, phase, seconds)
            parts.append(f"## {name}, {phase.name}: {phase.about}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _py_spy() -> Path | None:
    beside = Path(sys.executable).parent / "py-spy"
    found = shutil.which("py-spy")
    return beside if beside.exists() else Path(found) if found else None


def _door(running: Running, name: str) -> Door:
    return next(door for door in running.doors if door.name == name)


def _sampled(
    lab: Lab, command: list[str | Path], door: str, phase: Phase, seconds: float, py_spy: Path
) -> str:
    stacks = lab.folder / "stacks.txt"
    running = start_llmhub(lab, command)
    try:
        record = [py_spy, "record", "--pid", running.child.pid, "--rate", _SAMPLES_PER_SECOND]
        record += ["--subprocesses", "--format", "raw", "--output", stacks, "--duration", 3600]
        with subprocess.Popen([*map(str, record)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as spy:
            time.sleep(1)
            sample = run_phase(lab, running, _door(running, door), phase, seconds)
            spy.send_signal(signal.SIGINT)
            _, said = spy.communicate(timeout=_DUMP_SECONDS)
    finally:
        running.child.stop()
    if not stacks.exists():
        raise ProfileUnavailableError(f"py-spy: {said.decode(errors='replace').strip()[-300:]}")
    return f"{sample.done} answers, {sample.chunks} chunks.\n\n{_hot_functions(stacks.read_text())}"


def _hot_functions(stacks: str) -> str:
    """The tables of own and cumulative samples from collapsed stacks ("a;b;c 12" a line)."""
    own: Counter[str] = Counter()
    cumulative: Counter[str] = Counter()
    total = 0
    for line in stacks.splitlines():
        frames_text, _, count_text = line.rpartition(" ")
        frames, count = frames_text.split(";"), int(count_text)
        functions = [frame.rsplit(":", 1)[0].rstrip(")") + ")" for frame in frames if "(" in frame]
        if not functions or functions[-1] == _SLEEPER:
            continue
        total += count
        own[functions[-1]] += count
        for function in set(functions):
            cumulative[function] += count
    rows = [f"{total} samples.", "", "| own % | function |", "|---|---|", *_percent(own, total)]
    rows += ["", "| with callees % | function |", "|---|---|", *_percent(cumulative, total)]
    return "\n".join(rows)


def _percent(counts: Counter[str], total: int) -> list[str]:
    return [f"| {count / total * 100:.1f} | `{name}` |" for name, count in counts.most_common(_ROWS)]


def _traced(lab: Lab, command: list[str | Path], door: str, phase: Phase, seconds: float) -> str:
    dump = lab.folder / "profile.pstats"
    traced: list[str | Path] = [sys.executable, "-m", "cProfile", "-o", dump, *command]
    running = start_llmhub(lab, traced)
    try:
        sample = run_phase(lab, running, _door(running, door), phase, seconds)
    finally:
        running.child.stop(_DUMP_SECONDS)
    if not dump.exists():
        raise ProfileUnavailableError(f"llmhub left no profile on SIGTERM: {running.child.last_line()}")
    text = io.StringIO()
    statistics = pstats.Stats(str(dump), stream=text)
    for order in ("tottime", "cumtime"):
        statistics.sort_stats(order).print_stats(_ROWS)
    dump.unlink()
    return f"{sample.done} answers, {sample.chunks} chunks.\n\n```\n{text.getvalue().strip()}\n```"
