"""Child processes of `llmhub up --workers N`: started, watched, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Final

from services.mesh.backoff import Backoff
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)
_END_SECONDS: Final = 10.0


class ChildFailed(Exception):
    """A child ended by itself again and again."""


class Child:
    """One process of ours and its successors. Starts as soon as it is made; `end` it."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "services.mesh", *arguments]
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False
        self.keeping = asyncio.create_task(self._keep(), name=name)
        """Ends with ChildFailed when the child cannot be kept running."""

    @property
    def pid(self) -> int | None:
        """The process id of the running child."""
        return None if self._process is None else self._process.pid

    async def _keep(self) -> None:
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C in the terminal is for the supervisor, which ends its children in order.
                start_new_session=True,
                env=os.environ | {"LLMHUB_SUPERVISOR": str(os.getpid())},
            )
            code = await self._process.wait()
            if self._ending:
                return
            pause = backoff.after(loop.time() - began)
            if pause is None:
                raise ChildFailed(f"{self.name} ended with {code} again and again; see its messages above")
            _LOGGER.error("a process ended and is started again", process=self.name, code=code)
            await asyncio.sleep(pause)

    def reload(self) -> None:
        """Ask it to read its configuration again."""
        self._signal(signal.SIGHUP)

    async def end(self, grace: float) -> None:
        """Let it drain within `grace` seconds, and a moment more."""
        self._ending = True
        if self._process is None or self._process.returncode is not None:
            self.keeping.cancel()
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError, asyncio.CancelledError, ChildFailed):
            async with asyncio.timeout(grace + _END_SECONDS):
                await asyncio.shield(self.keeping)
        self._signal(signal.SIGKILL)
        with contextlib.suppress(asyncio.CancelledError, ChildFailed):
            await self.keeping

    def _signal(self, sign: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(sign)


def end_with_supervisor() -> None:
    """In a child: ask the kernel for SIGTERM when the supervisor is gone, even killed, and see that it is not yet."""
    supervisor = os.environ.get("LLMHUB_SUPERVISOR")
    if supervisor is None or not sys.platform.startswith("linux"):
        return
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGTERM))
    if os.getppid() != int(supervisor):
        raise SystemExit(1)
