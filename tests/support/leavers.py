"""Calls that can be left at an exact moment, on every door."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import grpc

from llmhub.completion.v1.completion_service_pb2 import GenerateStreamRequest
from llmhub.completion.v1.completion_service_pb2_grpc import CompletionServiceStub
from tests.support.doors import QUESTION, request
from tests.support.mesh import ADMIN_KEY, Mesh

_SERVICE: Final = "/llmhub.completion.v1.CompletionService/"
_VENDOR: Final = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


class Leavable(Protocol):
    """A running call."""

    def leave(self) -> None:
        """End it from the caller's side, now."""
        ...


Start = Callable[[str, str, float | None], Leavable]
"""From model, request id and an optional deadline in seconds to a running call."""


class RawCall:
    """An HTTP/1.1 call on a socket of its own, so that closing is a close and nothing else."""

    def __init__(self, mesh: Mesh, path: str, headers: dict[str, str], body: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", mesh.port), timeout=20)
        head = {
            "host": "mesh",
            "authorization": f"Bearer {ADMIN_KEY}",
            "content-length": str(len(body)),
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        self._socket.sendall(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    def leave(self) -> None:
        """Close the socket."""
        self._socket.close()

    def status(self) -> int:
        """Read the answer's status."""
        return int(self._socket.recv(64).split()[1])


class GrpcCall:
    """A call of the generated stub."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def leave(self) -> None:
        """Cancel."""
        self._call.cancel()


def starts(mesh: Mesh, channel: grpc.Channel) -> dict[str, Start]:
    """Return a way to start a call for every door."""
    found: dict[str, Start] = {}
    for stream in (False, True):
        suffix = "-stream" if stream else ""
        for vendor in _VENDOR:
            found[f"{vendor}{suffix}"] = _vendor(mesh, vendor, stream)
        found[f"rest{suffix}"] = _rest(mesh, stream)
        found[f"grpc{suffix}"] = _grpc(channel, stream)
        found[f"grpc-web{suffix}"] = _grpc_web(mesh, stream)
    return found


def _timeout(deadline: float | None) -> dict[str, str]:
    return {} if deadline is None else {"grpc-timeout": f"{round(deadline * 1000)}m"}


def _vendor(mesh: Mesh, vendor: str, stream: bool) -> Start:
    def start(model: str, request_id: str, deadline: float | None) -> RawCall:
        question = {"role": "user", "content": QUESTION}
        body = {"model": model, "messages": [question], "max_tokens": 64, "stream": stream}
        headers = {"content-type": "application/json", "x-request-id": request_id, **_timeout(deadline)}
        headers["anthropic-version"] = "2023-06-01"
        return RawCall(mesh, _VENDOR[vendor], headers, json.dumps(body).encode())

    return start


def _rest(mesh: Mesh, stream: bool) -> Start:
    def start(model: str, request_id: str, deadline: float | None) -> RawCall:
        message = {"role": "ROLE_USER", "parts": [{"text": QUESTION}]}
        body = {"model": model, "request_id": request_id, "messages": [message]}
        headers = {"content-type": "application/json", **_timeout(deadline)}
        path = "/api/v1/stream" if stream else "/api/v1/completions"
        return RawCall(mesh, path, headers, json.dumps(body).encode())

    return start


def _grpc(channel: grpc.Channel, stream: bool) -> Start:
    stub: Any = CompletionServiceStub(cast(Any, channel))
    metadata = (("authorization", f"Bearer {ADMIN_KEY}"),)

    def start(model: str, request_id: str, deadline: float | None) -> GrpcCall:
        asked: Any = request(model, request_id)
        timeout = 20.0 if deadline is None else deadline
        if stream:
            asked = GenerateStreamRequest(request=asked)
            return GrpcCall(stub.GenerateStream(asked, metadata=metadata, timeout=timeout))
        return GrpcCall(stub.Generate.future(asked, metadata=metadata, timeout=timeout))

    return start


def _grpc_web(mesh: Mesh, stream: bool) -> Start:
    def start(model: str, request_id: str, deadline: float | None) -> RawCall:
        asked: Any = request(model, request_id)
        message = (GenerateStreamRequest(request=asked) if stream else asked).SerializeToString()
        headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", **_timeout(deadline)}
        method = "GenerateStream" if stream else "Generate"
        return RawCall(mesh, _SERVICE + method, headers, struct.pack(">BI", 0, len(message)) + message)

    return start
