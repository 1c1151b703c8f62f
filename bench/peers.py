"""Other gateways, installed on demand into bench/.peers and set up as their makers advise for production."""

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure import HERE
from bench.processes import Child, free_port
from bench.systems import MODEL, Door, Lab, Running, UnavailableError, openai_door

PEERS = HERE / ".peers"
LITELLM = "litellm[proxy]==1.106.2"
PORTKEY = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2"},
    # With newer ones every stream of this Portkey answers 500 on Node 20.
    "overrides": {"hono": "4.9.7", "@hono/node-server": "1.3.3"},
}
_INSTALL_SECONDS = 600


def start_litellm(lab: Lab) -> Running:
    """LiteLLM proxy: one worker for the one core, master key, no database, no callbacks."""
    folder = _install_litellm()
    port, key = free_port(), f"sk-{secrets.token_hex(16)}"
    parameters = {"model": f"openai/{MODEL}", "api_base": lab.upstream, "api_key": "sk-mock"}
    settings = {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "litellm_settings": {
            "num_retries": 0,
            "request_timeout": 60,
            "set_verbose": False,
            "json_logs": False,
            "telemetry": False,
        },
        "router_settings": {"num_retries": 0},
        "general_settings": {"master_key": key},
    }
    config = lab.folder / "litellm.yaml"
    config.write_text(json.dumps(settings))
    where = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    child = Child(
        [folder / "bin/litellm", *where, "--num_workers", "1", "--telemetry", "False"],
        core=lab.system_core,
        log=lab.logs / "litellm.log",
        folder=lab.folder,
        env={
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "NO_DOCS": "True",
        },
    )
    # It saturates near 1,300 chunks/s: more streams than these only wait.
    door = openai_door(MODEL, f"authorization: Bearer {key}", few_streams=3, many_streams=40)
    return _running("litellm", child, port, door, "/health/liveliness")


def start_portkey(lab: Lab) -> Running:
    """Portkey's open gateway; it has no keys of its own without its hosted part."""
    folder = _install_portkey()
    port = free_port()
    server = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    child = Child(
        ["node", "--require", HERE / "portkey_loopback.cjs", server, f"--port={port}", "--headless"],
        core=lab.system_core,
        log=lab.logs / "portkey.log",
        folder=lab.folder,
        env={"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"},
    )
    door = openai_door(
        MODEL,
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: {lab.upstream}",
        "authorization: Bearer sk-mock",
    )
    return _running("portkey", child, port, door, None)


def _running(name: str, child: Child, port: int, door: Door, health: str | None) -> Running:
    try:
        return Running(name, child, port, (door,), child.wait_until_ready(port, health))
    except BaseException:
        child.stop()
        raise


def _install_litellm() -> Path:
    folder = PEERS / "litellm"
    if not _is_installed(folder, LITELLM):
        python = folder / "bin/python"
        _run("LiteLLM", [sys.executable, "-m", "venv", folder])
        _run("LiteLLM", [python, "-m", "pip", "install", "--quiet", LITELLM])
        (folder / "installed").write_text(LITELLM)
    return folder


def _install_portkey() -> Path:
    folder = PEERS / "portkey"
    wanted = json.dumps(PORTKEY)
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise UnavailableError(f"Portkey needs {tool}")
    if not _is_installed(folder, wanted):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(wanted)
        _run("Portkey", ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder])
        (folder / "installed").write_text(wanted)
    return folder


def _is_installed(folder: Path, wanted: str) -> bool:
    mark = folder / "installed"
    return mark.exists() and mark.read_text() == wanted


def _run(what: str, command: Sequence[str | Path]) -> None:
    print(f"  installing {what} into {PEERS.relative_to(HERE.parent)} …", flush=True)
    try:
        done = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{what} could not be installed: {error}") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UnavailableError(f"{what} could not be installed: {reason[:200]}")
