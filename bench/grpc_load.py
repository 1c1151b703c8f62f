"""gRPC load: what load.c does for HTTP, with the same options and the same output."""

import argparse
import asyncio
import contextlib
import json
import re
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import uvloop
from google.protobuf import json_format

from llmhub.completion.v1 import completion_service_pb2 as contract

_STAMP = re.compile(rb"@([0-9a-f]{16})")
_CALLS_PER_CHANNEL = 50
_GRACE_SECONDS = 3.0
_CALL_SECONDS = 60.0
_MAX_ERRORS = 1000


@dataclass(slots=True)
class Findings:
    """Counts of the measured window; delays in ns of answers that began in it."""

    begin: int
    end: int
    done: int = 0
    chunks: int = 0
    errors: int = 0
    refused: int = 0
    first_error: str = ""
    latency: list[int] = field(default_factory=list)
    first_chunk: list[int] = field(default_factory=list)
    chunk_delay: list[int] = field(default_factory=list)

    def open(self, now: int) -> bool:
        return self.begin <= now < self.end

    def stamps(self, message: bytes, started: int, *, first: bool) -> int:
        """Count the chunks in a message and record how long each was on its way."""
        now = time.monotonic_ns()
        found = _STAMP.findall(message)
        if found and self.open(now):
            self.chunks += len(found)
            self.chunk_delay.extend(now - int(stamp, 16) for stamp in found)
            if first and started >= self.begin:
                self.first_chunk.append(now - started)
        return len(found)

    def complete(self, started: int) -> None:
        now = time.monotonic_ns()
        self.done += self.open(now)
        if started >= self.begin:
            self.latency.append(now - started)

    def fail(self, why: str, *, refused: bool = False) -> None:
        self.refused += refused
        self.errors += not refused
        self.first_error = self.first_error or why[:300]

    def to_json(self, seconds: float) -> str:
        counts = {
            name: getattr(self, name) for name in ("done", "chunks", "errors", "refused", "first_error")
        }
        delays = {name: _quantiles(getattr(self, name)) for name in ("latency", "first_chunk", "chunk_delay")}
        return json.dumps({"seconds": seconds, **counts, **delays})


def _quantiles(delays: list[int]) -> dict[str, float] | None:
    if not delays:
        return None
    ordered = sorted(delays)
    last = len(ordered) - 1
    p50, p99, worst = (ordered[int(last * q)] / 1e6 for q in (0.5, 0.99, 1))
    return {"count": len(ordered), "p50": p50, "p99": p99, "max": worst}


class Client:
    """Calls one method over a few channels; messages stay bytes, so that the client costs little."""

    def __init__(self, options: argparse.Namespace, findings: Findings) -> None:
        self._options = options
        self._findings = findings
        self._metadata = [(name.strip(), value.strip()) for name, _, value in options.headers]
        request = json_format.Parse(options.body.read_bytes(), contract.GenerateRequest())
        streams = options.stamps > 0
        message = contract.GenerateStreamRequest(request=request) if streams else request
        self._request = message.SerializeToString()
        count = -(-options.connections // _CALLS_PER_CHANNEL)
        alone = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            grpc.aio.insecure_channel(f"127.0.0.1:{options.port}", options=alone) for _ in range(count)
        ]
        self._call = self._stream if streams else self._unary

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def call(self, worker: int, started: int) -> None:
        """One call to its end; its outcome goes into the findings."""
        try:
            await self._call(self._channels[worker % len(self._channels)], started)
        except grpc.aio.AioRpcError as error:
            self._findings.fail(f"{error.code().name}: {error.details()}", refused=True)

    async def _unary(self, channel: grpc.aio.Channel, started: int) -> None:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(self._options.path)
        await method(self._request, metadata=self._metadata, timeout=_CALL_SECONDS)
        self._findings.complete(started)

    async def _stream(self, channel: grpc.aio.Channel, started: int) -> None:
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(self._options.path)
        stamps, last = 0, b""
        async for message in method(self._request, metadata=self._metadata, timeout=_CALL_SECONDS):
            stamps += self._findings.stamps(message, started, first=stamps == 0)
            last = message
        events = contract.GenerateStreamResponse.FromString(last).events
        if stamps < self._options.stamps:
            self._findings.fail("an answer with too few chunks")
        elif not (events and events[-1].finished.complete):
            self._findings.fail("an answer without its finished event")
        else:
            self._findings.complete(started)


async def _closed_loop(client: Client, worker: int, findings: Findings) -> None:
    while findings.errors + findings.refused < _MAX_ERRORS:
        await client.call(worker, time.monotonic_ns())


async def _open_loop(client: Client, rate: float, findings: Findings, epoch: int) -> None:
    """Starts on a fixed schedule and counts latency from it, so that a stall cannot hide."""
    async with asyncio.TaskGroup() as calls:
        scheduled, started = 0, epoch
        while started < findings.end and findings.errors + findings.refused < _MAX_ERRORS:
            await asyncio.sleep((started - time.monotonic_ns()) / 1e9)
            calls.create_task(client.call(scheduled, started))
            scheduled += 1
            started = epoch + int(scheduled * 1e9 / rate)


async def _run(options: argparse.Namespace) -> None:
    epoch = time.monotonic_ns()
    begin = epoch + int(options.warm_up * 1e9)
    findings = Findings(begin, begin + int(options.seconds * 1e9))
    client = Client(options, findings)
    loops: Sequence[Coroutine[object, object, None]]
    if options.rate > 0:
        loops = [_open_loop(client, options.rate, findings, epoch)]
    else:
        loops = [_closed_loop(client, worker, findings) for worker in range(options.connections)]
    tasks = [asyncio.create_task(loop) for loop in loops]
    for moment, word in ((findings.begin, "begin"), (findings.end, "end")):
        await asyncio.sleep((moment - time.monotonic_ns()) / 1e9)
        print(word, flush=True)
    if options.rate > 0:
        _, late = await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        if late:
            findings.fail("calls that were never answered")
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await client.close()
    print(findings.to_json(options.seconds), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-p", dest="port", type=int, required=True)
    parser.add_argument("-P", dest="path", required=True, help="/package.Service/Method")
    parser.add_argument("-b", dest="body", type=Path, required=True, help="GenerateRequest as JSON")
    parser.add_argument("-c", dest="connections", type=int, default=1, help="calls at a time")
    parser.add_argument("-r", dest="rate", type=float, default=0)
    parser.add_argument("-w", dest="warm_up", type=float, default=0)
    parser.add_argument("-d", dest="seconds", type=float, default=5)
    parser.add_argument("-e", dest="stamps", type=int, default=0, help="chunks of each answer; 0: unary")
    header = parser.add_argument("-H", dest="headers", action="append", default=[])
    header.type = lambda text: text.partition(":")
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(_run(_options()))
