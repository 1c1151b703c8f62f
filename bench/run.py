"""`make bench`: llmhub, the direct way and the peers under the same load, in one run."""

import argparse
import dataclasses
import functools
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.measure import HERE, CannotBuildError, Sample, build_tools
from bench.peers import start_litellm, start_portkey
from bench.phases import LOW, PHASES, DoorResult, Phase, SystemResult, run_direct_low, run_phase
from bench.processes import NotReadyError, cpu_seconds, rss_mib
from bench.profiling import ProfileUnavailableError, profile_llmhub
from bench.report import render
from bench.systems import (
    Door,
    Lab,
    Running,
    UnavailableError,
    llmhub_command,
    start_direct,
    start_llmhub,
    start_mock,
    two_cores,
)

RESULTS = HERE / "results"
DOORS = ("openai", "grpc", "rest")
_FULL_SECONDS, _QUICK_SECONDS = 5.0, 2.0
_SETTLE_SECONDS = 2.0  # a server still imports and compiles for a while after it is ready
_QUIET_CORES = 0.3
_OPTIONAL = {"portkey", "litellm"}

Start = Callable[[Lab], Running]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a run measures; `seconds` is the length of a phase."""

    systems: Mapping[str, Start]
    doors: Sequence[str]
    phases: Sequence[str]
    seconds: float
    retries: int


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that children are stopped
    options = _options()
    plan = _plan(options)
    try:
        build_tools()
    except CannotBuildError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    stamp = time.strftime("%Y-%m-%dT%H%M%S")
    logs = HERE / ".build" / "logs"
    logs.mkdir(exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="llmhub-bench-") as folder:
        system_core, load_core = two_cores()
        mock, port = start_mock(Path(folder), logs, load_core)
        lab = Lab(Path(folder), logs, mock, port, system_core, load_core)
        try:
            if options.profile:
                return _profile(lab, plan, options.llmhub, options.profile, stamp)
            return _bench(lab, plan, stamp)
        finally:
            mock.stop()


def _bench(lab: Lab, plan: Plan, stamp: str) -> int:
    results: list[SystemResult] = []
    notes: list[str] = []
    for name, start in plan.systems.items():
        try:
            results.append(_measure(lab, start, name, plan))
        except (UnavailableError, NotReadyError) as error:
            notes.append(f"{name} skipped: {error}")
            print(f"  {notes[-1]}", flush=True)
    text = render(results, notes)
    report = RESULTS / f"{stamp}.md"
    report.write_text(text)
    raw = [dataclasses.asdict(result) for result in results]
    report.with_suffix(".json").write_text(json.dumps(raw, indent=1))
    print(f"\n{text}\n{report.relative_to(HERE.parent)}")
    measured = {result.name for result in results}
    return 0 if measured >= set(plan.systems) - _OPTIONAL else 1


def _measure(lab: Lab, start: Start, name: str, plan: Plan) -> SystemResult:
    print(f"{name}", flush=True)
    running = start(lab)
    pid = running.child.pid
    try:
        time.sleep(_SETTLE_SECONDS)
        before, rss_idle = cpu_seconds(pid), rss_mib(pid)
        time.sleep(_SETTLE_SECONDS)
        idle = (cpu_seconds(pid) - before) / _SETTLE_SECONDS * 100
        doors = [door for door in running.doors if name != "llmhub" or door.name in plan.doors]
        found = tuple(_measure_door(lab, running, door, plan) for door in doors)
        return SystemResult(name, found, running.ready_seconds, idle, rss_idle, rss_mib(pid))
    finally:
        if running.child is not lab.mock:
            running.child.stop()


def _measure_door(lab: Lab, running: Running, door: Door, plan: Plan) -> DoorResult:
    direct_low = run_direct_low(lab, plan.seconds) if LOW.name in plan.phases else None
    samples = {}
    for name in plan.phases:
        sample = _quietest(lab, running, door, PHASES[name], plan)
        samples[name] = sample
        cost = sample.cpu_us_per_chunk if sample.chunks else sample.cpu_ms_per_request
        unit = "µs/chunk" if sample.chunks else "ms/req"
        shown = "nothing answered" if cost is None else f"{cost:9.3f} CPU {unit}"
        trouble = f"  errors {sample.errors}: {sample.first_error}" if sample.errors else ""
        print(f"  {door.name:7} {name:6} {shown}  other {sample.other_cores:.2f}{trouble}", flush=True)
    return DoorResult(door.name, samples, direct_low)


def _quietest(lab: Lab, running: Running, door: Door, phase: Phase, plan: Plan) -> Sample:
    """The phase's sample; a noisy one is taken again while retries are left, and the quietest kept."""
    best = run_phase(lab, running, door, phase, plan.seconds)
    for _ in range(plan.retries):
        if best.other_cores <= _QUIET_CORES:
            break
        again = run_phase(lab, running, door, phase, plan.seconds)
        best = min(best, again, key=lambda sample: sample.other_cores)
    return best


def _profile(lab: Lab, plan: Plan, chosen: Path | None, tool: str, stamp: str) -> int:
    try:
        text = profile_llmhub(lab, llmhub_command(chosen), plan.doors, plan.seconds, tool)
    except (UnavailableError, NotReadyError, ProfileUnavailableError) as error:
        print(f"bench: no profile: {error}", file=sys.stderr)
        return 1
    report = RESULTS / f"{stamp}-profile.md"
    report.write_text(text)
    print(f"\n{text}\n{report.relative_to(HERE.parent)}")
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    systems: dict[str, Start] = {
        "direct": start_direct,
        "llmhub": functools.partial(_start_llmhub, options.llmhub),
        "portkey": start_portkey,
        "litellm": start_litellm,
    }
    wanted = {name: systems[name] for name in systems if name in options.only}
    seconds = options.duration or (_QUICK_SECONDS if options.quick else _FULL_SECONDS)
    return Plan(wanted, options.doors, options.phases, seconds, options.retries)


def _start_llmhub(chosen: Path | None, lab: Lab) -> Running:
    return start_llmhub(lab, llmhub_command(chosen))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measure llmhub beside its peers in one run.")
    systems = ("direct", "llmhub", "portkey", "litellm")
    parser.add_argument("--quick", action="store_true", help=f"phases of {_QUICK_SECONDS:.0f} s")
    parser.add_argument("--duration", type=float, help=f"seconds of a phase (default {_FULL_SECONDS:.0f})")
    parser.add_argument(
        "--retries", type=int, default=0, help="repeat a phase that strangers disturbed (default 0)"
    )
    parser.add_argument("--only", type=_names_of(systems), default=systems, help=f"of {','.join(systems)}")
    parser.add_argument("--doors", type=_names_of(DOORS), default=DOORS, help=f"of {','.join(DOORS)}")
    parser.add_argument(
        "--phases", type=_names_of(tuple(PHASES)), default=tuple(PHASES), help=f"of {','.join(PHASES)}"
    )
    parser.add_argument("--llmhub", type=Path, help="the command to start (default: beside this Python)")
    parser.add_argument(
        "--profile",
        nargs="?",
        const="auto",
        choices=("auto", "py-spy", "cprofile"),
        help="show where llmhub's CPU goes instead of measuring",
    )
    return parser.parse_args()


def _names_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{','.join(unknown)} is none of {','.join(known)}")
        return chosen

    return names


if __name__ == "__main__":
    sys.exit(main())
