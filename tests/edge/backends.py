"""What stands behind the edge in these tests: every gRPC method of the contract and an HTTP door, in threads."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

from services.mesh.edge import DESCRIPTORS

MAX_MESSAGE = 64 * 1024 * 1024
Behaviour = Callable[[Any, grpc.ServicerContext], Any]


@dataclass
class Call:
    """A call as a backend saw it."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Contract:
    """The contract's methods by gRPC path."""

    pool: DescriptorPool = field(default_factory=DescriptorPool)
    methods: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Contract":
        contract = cls()
        files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
        for file in files.file:
            contract.pool.Add(file)
        for file in files.file:
            for service in contract.pool.FindFileByName(file.name).services_by_name.values():
                for method in service.methods:
                    contract.methods[f"/{service.full_name}/{method.name}"] = method
        return contract

    def message(self, name: str) -> Any:
        """The class of a message."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))


class GrpcBackend(grpc.GenericRpcHandler):
    """Serves every method; answers with an empty message unless `behaviours` has one for its path."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.calls: list[Call] = []
        self.behaviours: dict[str, Behaviour] = {}

    def service(self, details: Any) -> Any:
        method = self.contract.methods.get(details.method)
        if method is None:
            return None
        request = message_factory.GetMessageClass(method.input_type)
        answer = message_factory.GetMessageClass(method.output_type)

        def serve(message: Any, context: grpc.ServicerContext) -> Any:
            headers = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
            self.calls.append(Call(details.method, headers, message))
            behaviour = self.behaviours.get(details.method)
            if behaviour is not None:
                return behaviour(message, context)
            return iter([answer()]) if method.server_streaming else answer()

        if method.client_streaming:
            return None
        make = (
            grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make(serve, request.FromString, answer.SerializeToString)


def start_grpc(address: str, backend: GrpcBackend) -> grpc.Server:
    server = grpc.server(
        ThreadPoolExecutor(8),
        handlers=[backend],
        options=(
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
        ),
    )
    server.add_insecure_port(address)
    server.start()
    return server


class HttpBackend:
    """Answers every HTTP request with 200; `pieces` and their `pause` make a stream."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.pieces: Callable[[], Iterator[bytes]] | None = None
        self.refusals: list[dict[str, str]] = []
        """Headers of the next 503s, the first one last."""

    def start(self, path: Path) -> socketserver.ThreadingUnixStreamServer:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self) -> str:
                return "unix"

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                backend.calls.append(Call(self.path, headers, body))
                if backend.refusals:
                    self.refuse(backend.refusals.pop())
                    return
                self.send_response(200)
                if backend.pieces is None:
                    self.send_header("content-length", "2")
                    self.end_headers()
                    self.wfile.write(b"" if self.command == "HEAD" else b"ok")
                    return
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for piece in backend.pieces():
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")

            def refuse(self, headers: dict[str, str]) -> None:
                self.send_response(503)
                for name, value in {"content-length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - names of the standard library

        server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server
