"""What an edge is made for: where it listens, whom it reaches, what it allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PACKAGED: Final = Path(__file__).parents[1] / "llmhub.binpb"
_IN_TREE: Final = Path(__file__).parents[3] / "gen" / "descriptors" / "llmhub.binpb"
DESCRIPTORS: Final = _PACKAGED if _PACKAGED.exists() else _IN_TREE
"""The contract's descriptor set, as `make gen` wrote it."""

DOORS: Final = ("gateway", "gateway-http", "router", "auth", "billing")
"""What the edge reaches: the public gRPC services by the service that serves them, and the gateway's HTTP door."""

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files by path, never their content: a configuration that Envoy refuses is printed whole in its log.

    `ca` verifies the other side; with it at hand a server also asks its clients for a certificate.
    """

    cert: Path
    key: Path
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class EdgePlan:
    """One edge. Addresses are `unix:/path` or `host:port`; sizes in bytes, times in seconds."""

    upstreams: Mapping[str, tuple[str, ...]]
    """Addresses by the names in DOORS; one per process."""
    admin_socket: Path
    host: str = "127.0.0.1"
    port: int = 8080
    tls: Tls | None = None
    """With it the port speaks TLS only: a key sent in clear text by mistake would be known to the network."""
    upstream_tls: Tls | None = None
    """The mesh's certificates, for addresses that are not unix sockets."""
    cors_origins: tuple[str, ...] = ()
    """Origins of web pages that may call; `*` for any. Empty: none but the edge's own."""
    max_body_bytes: int = 32 * MIB
    stream_idle_seconds: int = 3600
    """A stream on which nothing moves for so long is ended. The gateway's own limits are meant to be shorter."""
    descriptors: Path = DESCRIPTORS
    access_log: Path | None = field(default=None)
    """A file, or /dev/stdout. None: no access log."""
    reflection: bool = False
    """Route gRPC reflection, for development."""
