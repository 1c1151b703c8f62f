"""Makes .venv from a lock file: `bootstrap.py run` to run llmhub, `bootstrap.py dev` for tests and tools.

Needs only the standard library. Does nothing when the lock file has not changed since the last time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PROGRAMS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = PROGRAMS / "python"
UV = PROGRAMS / "uv"
UV_LOCK = ROOT / "tools" / "uv.lock"
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
OLDEST = (3, 11)


class BootstrapFailed(Exception):
    """Installation cannot go on; the message says what to do."""


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def call(*command: str | Path, quiet: bool = False) -> bool:
    """Runs a command in the repository and tells whether it was there and succeeded."""
    # An environment that happens to be active must not be the one that is filled.
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    output = subprocess.DEVNULL if quiet else None
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(arguments, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False)
    except OSError:
        return False
    return done.returncode == 0


def digest(lock: Path) -> str:
    """What the environment depends on: the lock file and the Python it was made with."""
    sources = (lock, UV_LOCK, ROOT / "pyproject.toml")
    content = b"\0".join([*(file.read_bytes() for file in sources), sys.version.encode()])
    return hashlib.sha256(content).hexdigest()


def make_environment() -> None:
    if call(PYTHON, "-m", "pip", "--version", quiet=True):
        return
    if VENV.exists():
        say(f"{VENV.name} is broken: making it anew")
        shutil.rmtree(VENV)
    say(f"making {VENV.name} with Python {sys.version.split()[0]}")
    if call(sys.executable, "-m", "venv", VENV):
        return
    # Debian splits the module that puts pip into a new environment; a pip outside can do it.
    shutil.rmtree(VENV, ignore_errors=True)
    pip = (sys.executable, "-m", "pip")
    if (
        call(*pip, "--version", quiet=True)
        and call(sys.executable, "-m", "venv", "--without-pip", VENV)
        and call(*pip, "--python", PYTHON, "install", "--quiet", "pip")
    ):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if install_venv_module() and call(sys.executable, "-m", "venv", VENV):
        return
    message = "this Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
    raise BootstrapFailed(message)


def install_venv_module() -> bool:
    """On Debian and Ubuntu, where it is a package of its own, and only as root."""
    if os.name == "nt" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    say("installing the Debian package python3-venv")
    apt = ("apt-get", "-qq")
    return call(*apt, "update") and call(*apt, "install", "--yes", "--no-install-recommends", "python3-venv")


def install(lock: Path) -> None:
    """Installs exactly what the lock file says, in parallel with uv where it works, with pip otherwise."""
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r")
    have_uv = UV.exists() or call(*pip, UV_LOCK)
    say(f"installing {lock.name} (once; again only when it changes)")
    if have_uv and call(UV, "pip", "install", "--python", PYTHON, "--require-hashes", "-r", lock):
        return
    say("uv did not manage, trying pip")
    if not call(*pip, lock):
        raise BootstrapFailed("packages could not be installed; is a package index reachable from here?")


def install_project() -> None:
    """Installs this tree itself, editable: the `llmhub` command and the generated packages."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")
    if UV.exists() and call(UV, "pip", "install", "--python", PYTHON, *options):
        return
    if not call(PYTHON, "-m", "pip", "install", *options):
        message = "the project itself could not be installed; see above"
        raise BootstrapFailed(message)


def main() -> int:
    kind = sys.argv[1] if len(sys.argv) == 2 else ""
    if kind not in LOCKS:
        print(f"usage: bootstrap.py {'|'.join(LOCKS)}", file=sys.stderr)
        return 2
    if sys.version_info < OLDEST:
        print(f"setup: llmhub needs Python 3.11 or newer, this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    stamp = VENV / f".installed-{kind}"
    wanted = digest(LOCKS[kind])
    started = time.monotonic()
    try:
        if not stamp.exists() or stamp.read_text() != wanted or not PYTHON.exists():
            make_environment()
            install(LOCKS[kind])
            install_project()
            say(f"ready after {time.monotonic() - started:.0f} s")
    except BootstrapFailed as failure:
        print(f"setup: {failure}", file=sys.stderr)
        return 1
    stamp.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
