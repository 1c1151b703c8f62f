"""A replay server and a mesh of the matrix's own: providers of every dialect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.journal import Arrival
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay, anyone, upstream_key


def accounts(replay: Replay) -> dict[str, dict[str, Any]]:
    """Return a provider of every dialect, each named after it."""
    host = f"http://127.0.0.1:{replay.port}"

    def at(name: str, dialect: str | None = None, path: str = "", **more: Any) -> dict[str, Any]:
        address = f"{host}/{name}{path}"
        return {"dialect": dialect or name, "base_url": address, "api_key": upstream_key(name), **more}

    found = {
        # Without /responses, whose door would pass them on.
        "openai": at("openai", path="/v1", profile="openai", responses=False),
        "openai-responses": at("openai-responses", path="/v1", profile="openai"),
        "anthropic": at("anthropic"),
        "gemini": at("gemini"),
        "bedrock": at(
            "bedrock", region="eu-west-1", access_key_id="AKIDEXAMPLE", secret_access_key="wJalrXUtnFEMI"
        ),
        "cohere": at("cohere"),
        "ollama": at("ollama"),
        "azure-openai": at("azure-openai", api_version="2024-10-21"),
        "vertex": at("vertex", access_token="ya29.token", project="my-project", location="europe-west4"),
    }
    for name in ("bedrock", "vertex"):
        del found[name]["api_key"]
    return found


def _signed(seen: Arrival) -> list[str]:
    told = seen.headers.get("authorization", "")
    return [] if told.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") else ["it is not signed"]


def _by_token(seen: Arrival) -> list[str]:
    return [] if seen.headers.get("authorization") == "Bearer ya29.token" else ["the token is another"]


def _by_api_key(seen: Arrival) -> list[str]:
    return [] if seen.headers.get("api-key") == upstream_key("azure-openai") else ["the key is another"]


@pytest.fixture(scope="session")
def providers() -> Iterator[Replay]:
    with Replay() as server:
        server.keep_out(ADMIN_KEY)
        server.expect("bedrock", _signed)
        server.expect("vertex", _by_token)
        server.expect("azure-openai", _by_api_key)
        server.expect("ollama", anyone)
        yield server
    assert server.faults == []


@pytest.fixture(scope="session")
def hub(providers: Replay, short_folder: Path) -> Iterator[Mesh]:
    config = {
        "edge": {"host": "127.0.0.1"},
        "providers": accounts(providers),
        "log": {"format": "json"},
        "grace_seconds": 5,
        "gateway": {"durability": "normal"},
        "router": {"failures_to_cool_down": 1000},
    }
    running = Mesh(short_folder / "matrix", config).up()
    yield running
    running.stop()
