"""Metrics and health for the operator, one port per process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from services.mesh.config import Config
from services.runtime import admin
from services.runtime.addresses import AddressInvalid
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)


@asynccontextmanager
async def serving(config: Config, ready: Callable[[], bool], offset: int = 0) -> AsyncGenerator[None, None]:
    """Serve the operator's port while the context lasts; `offset` tells the processes of one machine apart.

    Raises AddressInvalid where a port that was asked for is taken; the default port is only missed.
    """
    host, port = config.admin.host, config.admin.port
    async with AsyncExitStack() as stack:
        if port:
            try:
                await stack.enter_async_context(admin.serving(host, port + offset, ready))
            except OSError as error:
                if "port" in config.admin.model_fields_set:
                    raise AddressInvalid(
                        f"admin: cannot listen on {host}:{port + offset}: {error.strerror}; choose another admin.port"
                    ) from error
                _LOGGER.info("no metrics: the default admin port is taken", port=port + offset)
        yield
