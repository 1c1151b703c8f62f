"""The configuration file's schema. Everything has a default: llmhub runs without a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints

from services.billing.settings import PriceOverride
from services.mesh.provider_section import Provider
from services.mesh.section import Section, Texts, split_text
from services.runtime.key_format import LONGEST, SHORTEST_FOREIGN

ProviderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Address = Annotated[str, StringConstraints(pattern=r"^(unix:/.+|.+:[0-9]{1,5})$")]
"""`unix:/path` or `host:port`."""


class TlsFiles(Section):
    """PEM files of a server."""

    cert: Path
    key: Path


class MutualTlsFiles(TlsFiles):
    """PEM files of a member of the mesh: it is server and client, and both sides are verified with `ca`."""

    ca: Path


class Edge(Section):
    """The public port."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=1, le=65535)
    tls: TlsFiles | None = None
    cors_origins: Texts = ()
    max_body_bytes: int = Field(32 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024)


class ModelEntry(Section):
    """Under a name without a slash: an alias. Under `provider/model`: what is known of the model."""

    targets: Texts | None = Field(None, min_length=1)
    strategy: Literal["failover"] = "failover"
    display_name: str = ""
    capabilities: Texts | None = None
    modalities: Texts | None = None
    input_modalities: Texts | None = None
    output_modalities: Texts | None = None
    context_tokens: int | None = Field(None, gt=0)
    max_output_tokens: int | None = Field(None, gt=0)


class Auth(Section):
    """API keys."""

    bootstrap_key: SecretStr | None = Field(None, min_length=SHORTEST_FOREIGN, max_length=LONGEST)
    peppers: dict[int, SecretStr] = Field(default_factory=dict)


class Billing(Section):
    """Prices of the operator, laid over the built-in ones; the first that covers a model counts."""

    prices: tuple[PriceOverride, ...] = ()


class Gateway(Section):
    """See services.gateway.settings."""

    durability: Literal["full", "normal"] = "full"
    max_running_calls: int = Field(10_000, ge=1)
    max_attempts: int = Field(4, ge=1, le=20)
    kept_decisions: int = Field(1000, ge=1, le=100_000)
    commit_buffer_bytes: int = Field(1024 * 1024, ge=0)
    drain_seconds: float = Field(30.0, ge=0, le=3600)
    max_draining: int = Field(1000, ge=0)
    kept_responses_days: float = Field(30.0, ge=0, le=3650)
    max_background_responses: int = Field(256, ge=1)


class Fetch(Section):
    """See services.providers.fetch_settings."""

    enabled: bool = False
    max_bytes: int = Field(8 * 1024 * 1024, ge=1, le=256 * 1024 * 1024)
    timeout: float = Field(10.0, gt=0, le=300)
    max_per_request: int = Field(8, ge=1, le=64)
    content_types: Texts = ()
    """Empty: those of services.providers.fetch_settings."""


class Router(Section):
    """See services.router.settings."""

    failures_to_cool_down: int = Field(3, ge=1)
    cool_down: float = Field(15.0, ge=0)
    max_cool_down: float = Field(300.0, ge=0)


class Admin(Section):
    """Metrics for the operator; with `up --workers`, the workers have the ports after it. 0: nowhere."""

    host: str = "127.0.0.1"
    port: int = Field(9464, ge=0, le=65000)


class Log(Section):
    """Logs on standard error, and the edge's access log in `data_dir`/log."""

    level: Literal["debug", "info", "warning", "error"] | None = None
    """Without one: warning for `up`, info for `serve`."""
    format: Literal["auto", "json", "text"] = "auto"
    access: Literal["file", "stdout", "none"] = "file"


class ServiceAddresses(Section):
    """Where a service of the mesh is reached, one address per process."""

    public: Annotated[tuple[Address, ...], BeforeValidator(split_text)] = ()
    """gRPC for the edge."""
    internal: Annotated[tuple[Address, ...], BeforeValidator(split_text)] = ()
    """gRPC for the other services."""
    http: Annotated[tuple[Address, ...], BeforeValidator(split_text)] = ()
    """The gateway's HTTP door, for the edge."""


class ProvidersAddresses(ServiceAddresses):
    """`each`: providers that have a process of their own."""

    each: dict[str, Annotated[tuple[Address, ...], BeforeValidator(split_text)]] = Field(default_factory=dict)


class Mesh(Section):
    """Addresses between processes. Absent ones are unix sockets in `data_dir`/run."""

    gateway: ServiceAddresses = ServiceAddresses()
    router: ServiceAddresses = ServiceAddresses()
    auth: ServiceAddresses = ServiceAddresses()
    billing: ServiceAddresses = ServiceAddresses()
    providers: ProvidersAddresses = ProvidersAddresses()
    bind: str | None = None
    """The host to listen on where the addresses name a load balancer, for example 0.0.0.0."""
    tls: MutualTlsFiles | None = None
    page_token_key: SecretStr | None = Field(None, min_length=32)
    """Seals page tokens; the same on every machine of a mesh. Absent: a file in `data_dir`."""


class Config(Section):
    """The whole file."""

    edge: Edge = Edge()
    data_dir: Path = Path(".llmhub")
    database: str = ""
    """`postgresql+psycopg://…`; empty: SQLite files in `data_dir`."""
    providers: dict[ProviderName, Provider] = Field(default_factory=dict)
    models: dict[str, ModelEntry] = Field(default_factory=dict)
    auth: Auth = Auth()
    billing: Billing = Billing()
    gateway: Gateway = Gateway()
    fetch: Fetch = Fetch()
    router: Router = Router()
    admin: Admin = Admin()
    log: Log = Log()
    mesh: Mesh = Mesh()
    grace_seconds: float = Field(30.0, ge=0, le=3600)
    """How long running calls may go on after the signal to stop."""
    development: bool = False
    """Serve gRPC reflection."""
