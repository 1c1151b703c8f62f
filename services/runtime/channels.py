"""Channels to other processes of the mesh."""

from collections.abc import Sequence
from typing import Any, Final, Self

import grpc.aio

from services.runtime.addresses import MAX_MESSAGE_BYTES, AddressInvalid, Tls, is_ip, is_unix, split

UNARY_SECONDS: Final = 60.0

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A restarted service is found again within a second, not after minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.lb_policy_name", "round_robin"),
    # No fetch of a service configuration by DNS, and no proxy of the environment in between.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_http_proxy", 0),
)


def open_channel(
    *addresses: str, tls: Tls | None = None, unary_seconds: float = UNARY_SECONDS
) -> grpc.aio.Channel:
    """Return a channel to all of these addresses in turn: one `unix:/path`, one `name:port`, or several `ip:port`.

    A name stands for every address it resolves to. Calls with one response get a deadline of `unary_seconds` unless the
    caller gives one; streams never do. The caller closes the channel. Raises AddressInvalid.
    """
    target = _target(addresses)
    options = [*_OPTIONS]
    if tls is None:
        return WithDeadline(grpc.aio.insecure_channel(target, options), unary_seconds)
    if tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    channel = grpc.aio.secure_channel(target, tls.channel_credentials(), options)
    return WithDeadline(channel, unary_seconds)


def _target(addresses: Sequence[str]) -> str:
    if len(addresses) == 1 and is_unix(addresses[0]):
        return addresses[0]
    hosts = [split(address)[0] for address in addresses]
    if len(addresses) == 1 and not is_ip(hosts[0]):
        return f"dns:///{addresses[0]}"
    families = {"ipv6" if ":" in host else "ipv4" for host in hosts}
    if not all(map(is_ip, hosts)) or len(families) != 1:
        raise AddressInvalid(
            f"{', '.join(addresses) or 'nothing'}: several addresses of a service must be IP addresses of one family; "
            "or give one name that resolves to all of them"
        )
    return f"{families.pop()}:{','.join(addresses)}"


class WithDeadline(grpc.aio.Channel):
    """A channel whose calls with one response end by themselves.

    Not an interceptor: those of grpc.aio run each call in one more task, which costs more than the call.
    """

    def __init__(self, channel: grpc.aio.Channel, seconds: float) -> None:
        self._channel = channel
        self._seconds = seconds

    def unary_unary(self, method: str, *args: Any, **options: Any) -> Any:
        return self._limited(self._channel.unary_unary(method, *args, **options))

    def stream_unary(self, method: str, *args: Any, **options: Any) -> Any:
        return self._limited(self._channel.stream_unary(method, *args, **options))

    def unary_stream(self, method: str, *args: Any, **options: Any) -> Any:
        return self._channel.unary_stream(method, *args, **options)

    def stream_stream(self, method: str, *args: Any, **options: Any) -> Any:
        return self._channel.stream_stream(method, *args, **options)

    def _limited(self, callable_: Any) -> Any:
        seconds = self._seconds

        def call(request: Any = None, *, timeout: float | None = None, **options: Any) -> Any:
            return callable_(request, timeout=seconds if timeout is None else timeout, **options)

        return call

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - given
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
