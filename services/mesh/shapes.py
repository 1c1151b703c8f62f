"""The three shapes as data: which process runs which services, where it listens, whom it calls."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.mesh.config import Config, ServiceAddresses
from services.mesh.places import Places
from services.mesh.provider_section import SIM

SERVICES: Final = ("auth", "billing", "providers", "router", "gateway")
"""In the order in which they start; they stop in reverse."""
CONTROL: Final = ("auth", "billing")
DATA_PLANE: Final = ("providers", "router", "gateway")

Addresses = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the mesh. Addresses are `unix:/path` or `host:port`."""

    name: str
    services: tuple[str, ...]
    public: Addresses = ()
    """Where it listens for the edge."""
    internal: Addresses = ()
    """Where it listens for the other services."""
    http: Addresses = ()
    """Where its HTTP door listens for the edge."""
    remote: Mapping[str, Addresses] = field(default_factory=dict)
    """Internal addresses of the services that run elsewhere."""
    remote_providers: Mapping[str, Addresses] = field(default_factory=dict)
    """Internal addresses of providers that have a process of their own."""
    peers: Addresses = ()
    """Gateways beside this one."""
    worker: int = 0
    only: frozenset[str] | None = None
    """The providers it serves; None: all."""
    bind: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Processes, and what the edge reaches."""

    processes: tuple[Process, ...]
    upstreams: Mapping[str, Addresses]


def all_in_one(places: Places) -> Shape:
    """Everything in one process, one gRPC socket and one HTTP socket for the edge."""
    public, http = (places.socket("hub"),), (places.socket("hub-http"),)
    process = Process("hub", SERVICES, public=public, http=http)
    upstreams = {"gateway": public, "gateway-http": http, "router": public, "auth": public, "billing": public}
    return Shape((process,), upstreams)


def workers(places: Places, count: int) -> Shape:
    """One control process, and `count` data-plane processes that call it over a unix socket."""
    control_public, control = (places.socket("control"),), (places.socket("control-internal"),)
    public = tuple(places.socket(f"worker-{number}") for number in range(count))
    http = tuple(places.socket(f"worker-{number}-http") for number in range(count))
    data_plane = tuple(
        Process(
            f"worker-{number}",
            DATA_PLANE,
            public=(public[number],),
            http=(http[number],),
            remote=dict.fromkeys(CONTROL, control),
            peers=tuple(address for address in public if address != public[number]),
            worker=number,
        )
        for number in range(count)
    )
    return Shape(
        (Process("control", CONTROL, public=control_public, internal=control), *data_plane),
        {
            "gateway": public,
            "gateway-http": http,
            "router": public,
            "auth": control_public,
            "billing": control_public,
        },
    )


def addresses_of(config: Config, places: Places) -> dict[str, ServiceAddresses]:
    """Return where every service of the mesh is: as configured, else on unix sockets in the run directory."""
    found: dict[str, ServiceAddresses] = {}
    for name in SERVICES:
        given: ServiceAddresses = getattr(config.mesh, name)
        found[name] = ServiceAddresses(
            public=given.public or ((places.socket(name),) if name != "providers" else ()),
            internal=given.internal or (places.socket(f"{name}-internal"),),
            http=given.http or ((places.socket("gateway-http"),) if name == "gateway" else ()),
        )
    return found


def provider_socket(places: Places, provider: str) -> str:
    """The default address of a providers process that serves only some."""
    return places.socket(f"providers-{short_name(provider)}")


def short_name(provider: str) -> str:
    """A provider's name as part of a file's name."""
    return provider if len(provider) <= 24 else hashlib.sha256(provider.encode()).hexdigest()[:24]


def mesh(
    config: Config, places: Places, services: tuple[str, ...], only: frozenset[str] | None = None
) -> Process:
    """Return the process that runs these services of the mesh."""
    everything = addresses_of(config, places)
    own = [everything[name] for name in SERVICES if name in services]
    internal = tuple(dict.fromkeys(address for each in own for address in each.internal))
    if only is not None:
        split = _split(config, places, only)
        internal = tuple(address for address in internal if address not in everything["providers"].internal)
        internal += tuple(dict.fromkeys(address for addresses in split.values() for address in addresses))
    name = "-".join(services) if only is None else "-".join((*services, *sorted(only)))
    return Process(
        name[:80],
        tuple(each for each in SERVICES if each in services),
        public=tuple(dict.fromkeys(address for each in own for address in each.public)),
        internal=internal,
        http=everything["gateway"].http if "gateway" in services else (),
        remote={each: everything[each].internal for each in SERVICES if each not in services},
        remote_providers=_split(
            config, places, frozenset((*config.providers, *config.mesh.providers.each, SIM))
        ),
        only=only,
        bind=config.mesh.bind,
    )


def _split(config: Config, places: Places, names: frozenset[str]) -> dict[str, Addresses]:
    each = config.mesh.providers.each
    return {name: each.get(name) or (provider_socket(places, name),) for name in sorted(names)}


def mesh_upstreams(config: Config, places: Places) -> dict[str, Addresses]:
    """Return what the edge of a mesh reaches."""
    everything = addresses_of(config, places)
    found = {name: everything[name].public for name in ("gateway", "router", "auth", "billing")}
    return {"gateway": found.pop("gateway"), "gateway-http": everything["gateway"].http, **found}
