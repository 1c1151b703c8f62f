"""Fuzzes every parser: python -m tools.fuzz --seconds 600.

Inputs are recordings with faults of bytes, structure, order, length and depth. Fails for anything that is raised and
is no LlmhubError, and for a broken promise; such inputs are written to --out. --replay FILE runs one of them again.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import os
import queue
import random
import time
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path

from tools.fuzz.corpus import corpus
from tools.fuzz.operations import Operation, operations
from tools.fuzz.run import SLOW_SECONDS, Account, Worker, attempt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--only", default="", help="operations whose names contain this")
    parser.add_argument("--out", type=Path, default=Path(".cache/fuzz"))
    parser.add_argument("--replay", type=Path)
    asked = parser.parse_args()
    known = operations(corpus())
    if asked.replay:
        return replay(known, asked.replay)
    chosen = [each for each in known if asked.only in each.name]
    print(f"{len(chosen)} parsers, {asked.processes} processes, seed {asked.seed}", flush=True)
    accounts = run(chosen, asked.processes, asked.seconds, asked.seed, asked.out)
    return summary(accounts, asked.out)


def run(chosen: list[Operation], processes: int, seconds: float, seed: int, out: Path) -> dict[str, Account]:
    """Run the workers and add up what they report."""
    context = multiprocessing.get_context("fork")
    reports: Queue[dict[str, Account]] = context.Queue()
    workers: list[BaseProcess] = []
    for number in range(processes):
        worker = Worker(chosen, out, seed + number)
        workers.append(context.Process(target=worker.run, args=(seconds, reports), daemon=True))
        workers[-1].start()
    accounts = {each.name: Account() for each in chosen}
    began, printed = time.monotonic(), time.monotonic()
    while True:
        alive = any(each.is_alive() for each in workers)
        try:
            for name, news in reports.get(timeout=1).items():
                accounts[name].add(news)
        except queue.Empty:
            if not alive:
                break
        if time.monotonic() - printed > 30:
            printed = time.monotonic()
            progress(accounts, printed - began)
    lost = [each.exitcode for each in workers if each.exitcode]
    if lost:
        accounts["workers"] = Account(crashes={f"a worker died: {code}": 1 for code in lost})
    return accounts


def progress(accounts: dict[str, Account], seconds: float) -> None:
    """Print one line."""
    inputs = sum(each.inputs for each in accounts.values())
    kinds = sum(len(each.crashes) for each in accounts.values())
    print(f"{seconds:5.0f} s  {inputs:9} inputs  {kinds} kinds of crashes", flush=True)


def summary(accounts: dict[str, Account], out: Path) -> int:
    """Print the account of every parser; 1 if any crashed."""
    print(
        f"{'parser':30} {'inputs':>9} {'refused':>8} {'longest':>8} {'crashes':>7}  slowest step, ms per 100 kB"
    )
    for name, each in sorted(accounts.items()):
        refused = f"{100 * each.refused / max(1, each.inputs):.0f} %"
        mark = "  SLOW" if each.slowest > SLOW_SECONDS else ""
        print(
            f"{name:30} {each.inputs:9} {refused:>8} {each.largest:8} {sum(each.crashes.values()):7}"
            f"  {each.slowest * 1e3:6.1f} {each.slowest_step} ({each.slowest_bytes} B){mark}"
        )
    print(f"{'all':30} {sum(each.inputs for each in accounts.values()):9}")
    for name, each in sorted(accounts.items()):
        for kind, count in each.crashes.items():
            print(f"CRASH {name}: {kind} ({count} inputs)")
        for step, count in each.slow.items():
            print(f"slow  {name}: {step} ({count} inputs above {SLOW_SECONDS * 1e3:.0f} ms per 100 kB)")
    crashed = any(each.crashes for each in accounts.values())
    if crashed or any(each.slow for each in accounts.values()):
        print(f"inputs are in {out}; python -m tools.fuzz --replay FILE")
    return 1 if crashed else 0


def replay(known: list[Operation], file: Path) -> int:
    """Run one written input again, and let what it raises through."""
    row = json.loads(file.read_text())
    (operation,) = (each for each in known if each.name == row["operation"])
    data = base64.b64decode(row["input"])
    print(f"{row['operation']}, {len(data)} bytes: {row['what']}")
    watch, _ = attempt(operation, data, row["seed"])
    print({step: f"{took * 1e3:.1f} ms" for step, took in watch.steps.items()})
    print(data[:2000])
    operation.check(data, random.Random(row["seed"]), watch)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
