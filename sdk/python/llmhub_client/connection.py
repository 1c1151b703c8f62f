"""One connection to llmhub: address, key, deadlines, and the only place that retries."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar
from urllib.parse import urlsplit

import betterproto2
import grpc
import grpc.aio

from llmhub_client.errors import ConnectFailed, rpc_errors

Answer = TypeVar("Answer", bound=betterproto2.Message)
StreamCall = grpc.aio.UnaryStreamCall[bytes, bytes]

_MIB: Final = 1024 * 1024
_OPTIONS: Final = (
    ("grpc.primary_user_agent", "llmhub-client/0.1.0"),
    ("grpc.max_receive_message_length", 64 * _MIB),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


class Connection:
    """Sends bytes and reads bytes.

    Messages are encoded and parsed here and not by grpc, which would send an empty request for one that it
    cannot encode, and return None for an answer that it cannot parse.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float,
        connect_timeout: float,
        root_certificates: bytes | None,
    ) -> None:
        self._target, tls = _target(url)
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._metadata = (("authorization", f"Bearer {api_key}"),) if api_key else ()
        if tls:
            credentials = grpc.ssl_channel_credentials(root_certificates)
            self._channel = grpc.aio.secure_channel(self._target, credentials, _OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(self._target, _OPTIONS)

    async def call(
        self, method: str, request: betterproto2.Message, answer: type[Answer], timeout: float | None
    ) -> Answer:
        """Make a call with one answer. `method` is a path below `/llmhub.`."""
        body = bytes(request)
        left = await self._connect(timeout)
        call = self._channel.unary_unary(f"/llmhub.{method}", _as_is, _as_is)
        with rpc_errors():
            raw = await call(body, timeout=left, metadata=self._metadata)
        return answer.parse(raw)

    async def open(self, method: str, body: bytes, timeout: float | None) -> StreamCall:
        """Start a call with a stream of answers."""
        left = await self._connect(timeout)
        call = self._channel.unary_stream(f"/llmhub.{method}", _as_is, _as_is)
        return call(body, timeout=left, metadata=self._metadata)

    async def close(self) -> None:
        """End all calls and the connection."""
        await self._channel.close()

    async def _connect(self, timeout: float | None) -> float:
        """Wait until connected, and return the seconds that are left for the call.

        grpc tries to connect again and again; only that is safe to repeat, for nothing has been sent.
        """
        seconds = self._timeout if timeout is None else timeout
        if self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
            return seconds
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        patience = min(self._connect_timeout, seconds)
        try:
            async with asyncio.timeout(patience):
                await self._channel.channel_ready()
        except TimeoutError:
            message = f"no connection to {self._target} within {patience:g} seconds"
            raise ConnectFailed(message, code=grpc.StatusCode.UNAVAILABLE) from None
        return max(end - clock(), 0.001)


def _as_is(message: bytes) -> bytes:
    return message


def _target(url: str) -> tuple[str, bool]:
    """Return a URL as gRPC target, and whether it wants TLS."""
    parts = urlsplit(url)
    ports = {"http": 80, "https": 443}
    if parts.scheme not in ports or not parts.hostname or parts.path.strip("/") or parts.username:
        raise ValueError(f"{url!r} is no address of llmhub; write http://host:port or https://host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or ports[parts.scheme]}", parts.scheme == "https"
