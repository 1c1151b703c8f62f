"""gRPC without the wire: generated stubs over servicers registered in this process."""

from services.runtime.in_process.channel import InProcessChannel
from services.runtime.in_process.server import InProcessServer

__all__ = ["InProcessChannel", "InProcessServer"]
