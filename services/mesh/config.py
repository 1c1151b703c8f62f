"""The configuration file's schema. Everything has a default: llmhub runs without a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints

from services.billing.settings import PriceOverride
from services.providers.settings import Limits
from services.runtime.key_format import LONGEST, SHORTEST_FOREIGN

Dialect = Literal[
    "openai",
    "openai-responses",
    "azure-openai",
    "anthropic",
    "gemini",
    "vertex",
    "bedrock",
    "ollama",
    "cohere",
    "sim",
]
SPOKEN: Final = frozenset({"openai", "anthropic", "sim"})
"""Dialects that this version has; providers of the others are listed as not configured."""

SIM: Final = "sim"
"""Name of the built-in provider."""

ProviderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Address = Annotated[str, StringConstraints(pattern=r"^(unix:/.+|.+:[0-9]{1,5})$")]
"""`unix:/path` or `host:port`."""


def _list(value: Any) -> Any:
    """A single text is a list of one: environment variables and short files are kinder that way."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_list)]


class Section(BaseModel):
    """A part of the file: unknown members are faults, secrets never appear in messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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


class ProviderModel(Section):
    """What is known of a provider's model."""

    display_name: str = ""
    capabilities: Texts | None = None
    modalities: Texts | None = None
    input_modalities: Texts | None = None
    output_modalities: Texts | None = None
    context_tokens: int | None = Field(None, gt=0)
    max_output_tokens: int | None = Field(None, gt=0)


class Provider(Section):
    """One account at a provider. Texts with an unset `${NAME}` leave it not configured."""

    dialect: Dialect
    base_url: str = ""
    api_key: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    limits: Limits = Limits()
    cancel_billing: Literal["stops", "continues"] = "stops"
    """Whether the provider goes on charging for an answer whose caller has hung up."""
    max_connections: int = Field(1000, ge=1, le=100_000)
    models: tuple[str, ...] | dict[str, ProviderModel | None] = ()
    price_list: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps the account from being used."""
        texts = [self.base_url, *(value.get_secret_value() for value in self.headers.values())]
        if self.api_key is not None:
            texts.append(self.api_key.get_secret_value())
        unset = [f"${{{name}}} is not set" for text in texts for name in UNSET.findall(text)]
        if self.dialect not in SPOKEN:
            unset.append(f"this version does not speak {self.dialect}")
        elif self.api_key is None and not self.headers and not self.base_url and self.dialect != SIM:
            unset.append("api_key")
        return tuple(dict.fromkeys(unset))


UNSET: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A variable that the environment does not have, as the loader leaves it in the text."""


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

    public: Annotated[tuple[Address, ...], BeforeValidator(_list)] = ()
    """gRPC for the edge."""
    internal: Annotated[tuple[Address, ...], BeforeValidator(_list)] = ()
    """gRPC for the other services."""
    http: Annotated[tuple[Address, ...], BeforeValidator(_list)] = ()
    """The gateway's HTTP door, for the edge."""


class ProvidersAddresses(ServiceAddresses):
    """`each`: providers that have a process of their own."""

    each: dict[str, Annotated[tuple[Address, ...], BeforeValidator(_list)]] = Field(default_factory=dict)


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
    router: Router = Router()
    admin: Admin = Admin()
    log: Log = Log()
    mesh: Mesh = Mesh()
    grace_seconds: float = Field(30.0, ge=0, le=3600)
    """How long running calls may go on after the signal to stop."""
    development: bool = False
    """Serve gRPC reflection."""
