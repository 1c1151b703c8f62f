"""The edge of an installation: its configuration file, and whether it answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.mesh.config import Config
from services.mesh.edge import EdgePlan, Tls, render, to_yaml
from services.mesh.envoy_process import EnvoyFiles
from services.mesh.places import Places
from services.mesh.resolve import longest_answer
from services.mesh.shapes import Addresses

_IDLE_SECONDS: Final = 3600
_POLL_SECONDS: Final = 0.02
_PROBE_SECONDS: Final = 5.0
_ANY_HOST: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - replaced, not bound


class PortTaken(Exception):
    """The edge's port is in use."""


def plan(config: Config, places: Places, upstreams: Mapping[str, Addresses]) -> EdgePlan:
    """Return what the edge is made for."""
    access = {"file": places.log / "edge-access.log", "stdout": Path("/dev/stdout"), "none": None}
    tls, mesh = config.edge.tls, config.mesh.tls
    return EdgePlan(
        upstreams=upstreams,
        admin_socket=places.run / "envoy-admin.sock",
        host=config.edge.host,
        port=config.edge.port,
        tls=None if tls is None else Tls(tls.cert.absolute(), tls.key.absolute()),
        upstream_tls=None
        if mesh is None
        else Tls(mesh.cert.absolute(), mesh.key.absolute(), mesh.ca.absolute()),
        cors_origins=config.edge.cors_origins,
        max_body_bytes=config.edge.max_body_bytes,
        # An answer in one piece is silent for as long as the provider may take.
        stream_idle_seconds=max(_IDLE_SECONDS, int(longest_answer(config)) + 60),
        access_log=access[config.log.access],
        reflection=config.development,
    )


def write(edge: EdgePlan, places: Places) -> EnvoyFiles:
    """Write the edge's configuration, whole or not at all."""
    path = places.run / "envoy.yaml"
    fresh = path.with_suffix(".new")
    fresh.write_text(to_yaml(render(edge)))
    fresh.chmod(0o600)
    fresh.replace(path)
    return EnvoyFiles(path, edge.admin_socket, places.log / "envoy.log", edge.access_log)


def require_free_port(host: str, port: int) -> None:
    """Raise PortTaken if nothing can listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As Envoy does: connections that a former process left in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(
                f"{host}:{port}: {os.strerror(error.errno or 0).lower()}; "
                "stop what is using it, or choose another port with --port N or LLMHUB_PORT"
            ) from error


def base_url(edge: EdgePlan) -> str:
    """Return the URL at which this machine reaches the edge."""
    host = _ANY_HOST.get(edge.host, edge.host)
    scheme = "http" if edge.tls is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{edge.port}"


async def until_ready(edge: EdgePlan) -> None:
    """Return when GET /health answers 200; the caller bounds it."""
    while True:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PROBE_SECONDS):
                if await _healthy(edge):
                    return
        await asyncio.sleep(_POLL_SECONDS)


async def until_listening(address: str) -> None:
    """Return when something accepts connections on a unix socket; the caller bounds it."""
    path = address.removeprefix("unix:")
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(path)
            writer.close()
            return
        await asyncio.sleep(_POLL_SECONDS)


async def _healthy(edge: EdgePlan) -> bool:
    context = None
    if edge.tls is not None:
        # Only to see whether it answers; nothing secret is sent.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = _ANY_HOST.get(edge.host, edge.host)
    reader, writer = await asyncio.open_connection(host, edge.port, ssl=context)
    try:
        writer.write(b"GET /health HTTP/1.1\r\nhost: llmhub\r\nconnection: close\r\n\r\n")
        return (await reader.readline()).startswith(b"HTTP/1.1 200")
    finally:
        writer.close()
