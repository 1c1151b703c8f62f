"""Where servers listen and clients connect: `unix:/path` or `host:port`, and the certificates between them."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

import grpc

MAX_MESSAGE_BYTES = 33 * 1024 * 1024
"""The largest body that the product accepts is 32 MiB; the rest is for what surrounds it in a message."""


class AddressInvalid(Exception):
    """An address that cannot or must not be used; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of one side of a mutual TLS connection, as PEM files.

    `authority` signs the other side's certificate. `server_name` is the name a client expects in the server's, if it is
    not the host of the address.
    """

    certificate: Path
    key: Path
    authority: Path
    server_name: str = ""

    def server_credentials(self) -> grpc.ServerCredentials:
        """For a server that takes only clients with a certificate of the authority."""
        return grpc.ssl_server_credentials(
            [(self.key.read_bytes(), self.certificate.read_bytes())],
            root_certificates=self.authority.read_bytes(),
            require_client_auth=True,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a client that shows its certificate and takes only servers of the authority."""
        return grpc.ssl_channel_credentials(
            self.authority.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes()
        )


def split(address: str) -> tuple[str, int]:
    """Host and port of `host:port`, IPv6 in brackets. Raises AddressInvalid."""
    host, colon, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise AddressInvalid(f"{address!r} is no address: write unix:/path, host:port or [ipv6]:port")
    return host, int(port)


def is_unix(address: str) -> bool:
    """Whether the address is a unix socket."""
    return address.startswith("unix:")


def is_ip(host: str) -> bool:
    """Whether the host is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    return host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)


def require_protected(address: str, tls: Tls | None) -> None:
    """Raise AddressInvalid for an address that other machines reach without mutual TLS, or that is none."""
    if is_unix(address):
        # The kernel's limit for a socket's path, with its closing zero.
        if len(address.removeprefix("unix:").encode()) > 107:
            raise AddressInvalid(
                f"{address!r} is too long for a unix socket: choose a path of at most 107 bytes"
            )
        return
    host, _ = split(address)
    if tls is None and not is_loopback(host):
        raise AddressInvalid(
            f"{address} can be reached from other machines and is not protected: give it certificates "
            "(certificate, key, authority), or listen on 127.0.0.1 or a unix socket"
        )
