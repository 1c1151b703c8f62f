"""Run as a script: become another program that the kernel ends together with the process that started it.

`python -I -S leash.py PARENT-PID PROGRAM [ARGUMENT…]`. Elsewhere than on Linux only the second half happens.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, *command: str) -> None:
    """Tie this process to its parent's thread, make sure that it still lives, and become the command."""
    if sys.platform.startswith("linux"):
        # Survives exec. Not SIGTERM: whoever was killed leaves nothing that could be ended in order.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != int(parent):
            raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606 - that is the point


if __name__ == "__main__":
    main(*sys.argv[1:])
