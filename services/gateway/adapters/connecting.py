"""Waiting for the connection to another service of the mesh, so that what fails without one was never sent."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
import grpc.aio

from services.runtime.errors import ServiceUnavailable

_READY: Final = grpc.ChannelConnectivity.READY
_PATIENCE: Final = 1.5
"""Seconds: a service that starts, or is started again, is found within one (runtime/channels.py)."""


def is_connected(channel: grpc.aio.Channel) -> bool:
    """Whether a call would go out at once. Costs a tenth of a microsecond."""
    return channel.get_state(try_to_connect=True) is _READY


async def connected(channel: grpc.aio.Channel, service: str) -> None:
    """Wait for the connection. Raises ServiceUnavailable if there is none for a while; then nothing was sent."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while (state := channel.get_state(try_to_connect=True)) is not _READY:
                if state is grpc.ChannelConnectivity.SHUTDOWN:
                    break
                await channel.wait_for_state_change(state)
            else:
                return
    except TimeoutError:
        pass
    message = "a service of the mesh cannot be reached"
    raise ServiceUnavailable(message, service=service, started="false")
