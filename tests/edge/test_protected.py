"""Certificates: the public port under TLS, and a mesh whose processes meet over mutual TLS."""

import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from tests.edge.commands import KEY, Installation, start
from tests.edge.conftest import free_port


@pytest.fixture(scope="module")
def certificates(module_folder: Path) -> Path:
    """A folder with an authority and one certificate for localhost."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=module_folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
            "-subj", "/CN=llmhub test")  # fmt: skip
    openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "tls.key",
        "-out",
        "tls.csr",
        "-subj",
        "/CN=localhost",
    )
    (module_folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "san", "-out", "tls.crt")  # fmt: skip
    return module_folder


def free_ports(count: int) -> list[int]:
    """Different free ports; taken one at a time, for nothing holds them yet."""
    found: list[int] = []
    held: list[socket.socket] = []
    while len(found) < count:
        held.append(socket.create_server(("127.0.0.1", free_port())))
        found.append(held[-1].getsockname()[1])
    for each in held:
        each.close()
    return found


@pytest.fixture
def hub(folder: Path, certificates: Path) -> Iterator[Installation]:
    ports = iter(free_ports(10))
    files = {"cert": str(certificates / "tls.crt"), "key": str(certificates / "tls.key")}

    def at(*kinds: str) -> dict[str, str]:
        return {kind: f"localhost:{next(ports)}" for kind in kinds}

    port = next(ports)
    config = {
        "edge": {"port": port, "tls": files},
        "mesh": {
            "gateway": at("public", "internal", "http"),
            "router": at("public", "internal"),
            "auth": at("public", "internal"),
            "billing": at("internal"),
            "tls": {**files, "ca": str(certificates / "ca.crt")},
        },
    }
    (folder / "llmhub.yaml").write_text(json.dumps(config))
    installation = Installation(folder, f"https://localhost:{port}")
    try:
        yield installation
    finally:
        installation.kill()


def test_a_mesh_over_mutual_tls_behind_a_port_with_tls(hub: Installation, certificates: Path) -> None:
    hub.run("serve", "auth,billing")
    hub.run("serve", "gateway,router,providers")
    hub.run("serve", "edge")
    hub.until_ready()
    assert hub.chat().json()["choices"][0]["message"]["content"] == "Hello"
    assert hub.client.get("/api/v1/models").status_code == 200
    assert hub.client.get("/api/v1/keys").status_code == 200

    # h2 by ALPN: a native client with the authority's certificate.
    credentials = grpc.ssl_channel_credentials((certificates / "ca.crt").read_bytes())
    with grpc.secure_channel(hub.url.removeprefix("https://"), credentials) as channel:
        stub = channel.unary_unary(
            "/llmhub.model.v1.ModelService/ListModels", request_serializer=bytes, response_deserializer=bytes
        )
        assert b"sim/echo" in stub(b"", metadata=(("authorization", f"Bearer {KEY}"),), timeout=10)

    # Clear text has no answer on this port.
    with pytest.raises(httpx.TransportError):
        httpx.get(hub.url.replace("https", "http") + "/health")

    # And no service talks to somebody without a certificate of the authority.
    config = json.loads((hub.folder / "llmhub.yaml").read_text())
    host, _, port = config["mesh"]["auth"]["internal"].rpartition(":")
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port)), timeout=10) as raw,
        # In TLS 1.3 the server's refusal comes with the first read: an alert, or the end. A server that accepts
        # speaks first in HTTP/2.
        contextlib.suppress(ssl.SSLError, ConnectionError),
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        assert connection.recv(1024) == b""
    assert hub.stop() == [0, 0, 0]


def test_an_open_address_without_certificates_is_refused(folder: Path) -> None:
    (folder / "llmhub.yaml").write_text("mesh: {auth: {internal: '0.0.0.0:7003'}}")
    process = start(folder, "serve", "auth")
    assert process.wait(60) == 1
    said = (folder / "serve-auth.err").read_text()
    assert "llmhub: 0.0.0.0:7003 can be reached from other machines and is not protected" in said
