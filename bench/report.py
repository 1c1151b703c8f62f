"""The markdown report of a run."""

import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.measure import Quantiles, Sample
from bench.phases import PHASES, DoorResult, SystemResult

Row = Sequence[str]

_LEGEND = (
    "CPU is user + system of all processes of a system. `added` is less the direct value taken just before; "
    "TTFT and s5 come from 8 streams (LiteLLM 3), s20 from 200 (LiteLLM 40); `other cpu` is the most cores "
    "that strangers kept busy in any phase. How to read it: bench/README.md."
)


def render(results: Sequence[SystemResult], notes: Sequence[str]) -> str:
    """Main table, ratios to the peers, every phase with its noise, machine facts and what was skipped."""
    parts = [
        f"# Benchmark of {time.strftime('%Y-%m-%d %H:%M')}",
        _machine(),
        *(f"- {note}" for note in notes),
        "## Cost",
        _table(_HEAD, [row for result in results for row in _main_rows(result, results)]),
        _LEGEND,
    ]
    ratios = list(_ratio_rows(results))
    if ratios:
        parts += ["## Peer's CPU divided by llmhub's", _table(_RATIO_HEAD, ratios)]
    parts += ["## Phases", _table(_PHASE_HEAD, [row for result in results for row in _phase_rows(result)])]
    errors = list(_errors(results))
    if errors:
        parts += ["## First errors", *errors]
    return "\n\n".join(parts) + "\n"


_HEAD = (
    "system", "CPU ms/req", "LiteLLM ÷ this", "CPU ms/req at 20 rps", "added p50 ms", "added p99 ms",
    "TTFT p50 ms", "CPU µs/chunk s5", "s0", "s20", "RSS MiB idle → after", "idle CPU %", "ready s", "errors",
    "other cpu",
)  # fmt: skip
_RATIO_HEAD = ("llmhub door", "peer", "request", "request at 20 rps", "chunk s5", "chunk s0", "chunk s20")
_PHASE_HEAD = (
    "system", "phase", "done", "req/s", "chunks/s", "latency p50 / p99 ms", "chunk delay p50 / p99 ms",
    "system cores", "other cpu", "errors",
)  # fmt: skip


def _machine() -> str:
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = int(_lines("/proc/meminfo")[0].split()[1]) / 2**20
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load average at the end {os.getloadavg()[0]:.2f}."
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _title(result: SystemResult, door: DoorResult) -> str:
    return f"{result.name} {door.door}" if result.name == "llmhub" else result.name


def _main_rows(result: SystemResult, results: Sequence[SystemResult]) -> Iterator[Row]:
    for door in result.doors:
        plain, low = door.samples.get("plain"), door.samples.get("low")
        yield (
            _title(result, door),
            _number(_per_request(plain), 3),
            "-" if result.name == "direct" else _ratio(_peer(results, "litellm"), door, "plain"),
            _number(_per_request(low), 2),
            _number(_added(low, door.direct_low, "p50"), 2),
            _number(_added(low, door.direct_low, "p99"), 2),
            _number(_first_chunk(door), 2),
            *(_number(_per_chunk(door.samples.get(name)), 1) for name in ("s5", "s0", "s20")),
            f"{result.rss_idle:.0f} → {result.rss_after:.0f}",
            f"{result.idle_percent:.1f}",
            _number(result.ready_seconds, 1),
            str(sum(sample.errors for sample in door.samples.values())),
            _noise(door),
        )


def _ratio_rows(results: Sequence[SystemResult]) -> Iterator[Row]:
    ours = next((result for result in results if result.name == "llmhub"), None)
    for door in ours.doors if ours else ():
        for name in ("litellm", "portkey"):
            peer = _peer(results, name)
            if peer:
                yield (
                    door.door, name,
                    *(_ratio(peer, door, phase) for phase in ("plain", "low", "s5", "s0", "s20")),
                )  # fmt: skip


def _phase_rows(result: SystemResult) -> Iterator[Row]:
    for door in result.doors:
        for name, sample in door.samples.items():
            yield (
                _title(result, door),
                name,
                str(sample.done),
                f"{sample.done / sample.seconds:.0f}",
                f"{sample.chunks / sample.seconds:.0f}" if sample.chunks else "-",
                _pair(sample.latency),
                _pair(sample.chunk_delay),
                f"{sample.system_cpu / sample.seconds:.2f}",
                f"{sample.other_cores:.2f}",
                str(sample.errors),
            )


def _errors(results: Sequence[SystemResult]) -> Iterator[str]:
    for result in results:
        for door in result.doors:
            for name, sample in door.samples.items():
                if sample.first_error:
                    yield f"- {_title(result, door)} {name}: `{sample.first_error}`"


def _peer(results: Sequence[SystemResult], name: str) -> DoorResult | None:
    return next((result.doors[0] for result in results if result.name == name and result.doors), None)


def _ratio(peer: DoorResult | None, ours: DoorResult, phase: str) -> str:
    cost = _per_request if PHASES[phase].gap_ms is None else _per_chunk
    mine = cost(ours.samples.get(phase))
    theirs = cost(peer.samples.get(phase)) if peer else None
    return f"{theirs / mine:.1f}" if mine and theirs else "-"


def _per_request(sample: Sample | None) -> float | None:
    return sample.cpu_ms_per_request if sample else None


def _per_chunk(sample: Sample | None) -> float | None:
    return sample.cpu_us_per_chunk if sample else None


def _added(low: Sample | None, direct: Sample | None, quantile: str) -> float | None:
    if not (low and low.latency and direct and direct.latency):
        return None
    added: float = getattr(low.latency, quantile) - getattr(direct.latency, quantile)
    return added


def _first_chunk(door: DoorResult) -> float | None:
    sample = door.samples.get("s5")
    return sample.first_chunk.p50 if sample and sample.first_chunk else None


def _noise(door: DoorResult) -> str:
    return f"{max((sample.other_cores for sample in door.samples.values()), default=0.0):.2f}"


def _pair(quantiles: Quantiles | None) -> str:
    return f"{quantiles.p50:.2f} / {quantiles.p99:.2f}" if quantiles else "-"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _table(head: Row, rows: Sequence[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
