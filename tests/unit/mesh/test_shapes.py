"""The three shapes: every service somewhere, every address served, sockets of a length that works."""

from pathlib import Path

import pytest

from services.mesh import shapes
from services.mesh.config import Config, Mesh, ProvidersAddresses, ServiceAddresses
from services.mesh.front import plan
from services.mesh.places import Places, PlacesUnusable, locked, open_places

PLACES = Places(Path("/data"), Path("/run"))


def test_all_in_one_listens_where_the_edge_calls() -> None:
    shape = shapes.all_in_one(PLACES)
    (process,) = shape.processes
    assert set(process.services) == set(shapes.SERVICES)
    assert {address for addresses in shape.upstreams.values() for address in addresses} == {
        *process.public,
        *process.http,
    }
    assert not process.internal
    assert not process.remote


@pytest.mark.parametrize("count", [1, 2, 5])
def test_workers_share_nothing_but_the_control_process(count: int) -> None:
    shape = shapes.workers(PLACES, count)
    control, *data_plane = shape.processes
    assert len(data_plane) == count
    assert control.services == shapes.CONTROL
    addresses = [
        a for process in shape.processes for a in (*process.public, *process.internal, *process.http)
    ]
    assert len(addresses) == len(set(addresses))
    for worker in data_plane:
        assert worker.remote == {"auth": control.internal, "billing": control.internal}
        assert len(worker.peers) == count - 1
        assert not set(worker.peers) & set(worker.public)
    assert len({PLACES.outbox(worker.worker) for worker in data_plane}) == count
    assert shape.upstreams["gateway"] == tuple(worker.public[0] for worker in data_plane)
    assert shape.upstreams["auth"] == control.public


def test_a_mesh_needs_no_addresses_on_one_machine() -> None:
    config = Config()
    processes = {name: shapes.mesh(config, PLACES, (name,)) for name in shapes.SERVICES}
    upstreams = shapes.mesh_upstreams(config, PLACES)
    for name in ("gateway", "router", "auth", "billing"):
        assert upstreams[name] == processes[name].public
    assert upstreams["gateway-http"] == processes["gateway"].http
    for name, process in processes.items():
        assert set(process.remote) == set(shapes.SERVICES) - {name}
        for other, addresses in process.remote.items():
            assert addresses == processes[other].internal


def test_services_of_one_process_listen_at_each_one_s_address() -> None:
    process = shapes.mesh(Config(), PLACES, ("router", "gateway"))
    assert process.public == ("unix:/run/router.sock", "unix:/run/gateway.sock")
    assert set(process.remote) == {"auth", "billing", "providers"}


def test_one_provider_can_have_a_process_of_its_own() -> None:
    config = Config(
        mesh=Mesh(
            providers=ProvidersAddresses(internal=("10.0.0.1:7000",), each={"openai": ("10.0.0.2:7000",)})
        )
    )
    only = shapes.mesh(config, PLACES, ("providers",), frozenset({"openai"}))
    assert only.internal == ("10.0.0.2:7000",)
    gateway = shapes.mesh(config, PLACES, ("gateway",))
    assert gateway.remote_providers["openai"] == only.internal
    assert gateway.remote["providers"] == ("10.0.0.1:7000",)


def test_configured_addresses_are_used_by_edge_and_services() -> None:
    config = Config(
        mesh=Mesh(auth=ServiceAddresses(public=("auth:7001",), internal=("auth:7002",)), bind="0.0.0.0")
    )
    assert shapes.mesh_upstreams(config, PLACES)["auth"] == ("auth:7001",)
    assert shapes.mesh(config, PLACES, ("gateway",)).remote["auth"] == ("auth:7002",)


def test_the_edge_waits_longer_than_any_provider_may_take() -> None:
    slow = Config.model_validate(
        {"providers": {"slow": {"dialect": "openai", "base_url": "http://x", "limits": {"total": 7200}}}}
    )
    assert plan(Config(), PLACES, {}).stream_idle_seconds == 3600
    assert plan(slow, PLACES, {}).stream_idle_seconds == 7260


def test_sockets_of_a_deep_data_directory_stay_short(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    places = open_places(deep)
    addresses = [places.socket(name) for name in ("gateway-internal", "worker-99-http", "control-internal")]
    addresses += [shapes.provider_socket(places, letter * 64) for letter in "pq"]
    assert all(len(address.removeprefix("unix:")) < 100 for address in addresses)
    assert len(set(addresses)) == len(addresses)
    assert places.run == open_places(deep).run != open_places(tmp_path / "other").run
    assert places.run.stat().st_mode & 0o777 == 0o700
    places.run.rmdir()


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    places = open_places(tmp_path)
    with (
        locked(places, "up"),
        pytest.raises(PlacesUnusable, match="in use by another llmhub"),
        locked(places, "up"),
    ):
        pytest.fail("two owners")
    with locked(places, "up"):
        pass


def test_a_data_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlacesUnusable, match="--data DIR"):
        open_places(tmp_path / "file" / "data")
