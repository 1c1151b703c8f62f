"""Which methods of the contract have a route at the edge, and which service serves them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from llmhub.types.v1 import access_pb2

SERVED_BY: Final = {
    "llmhub.auth.v1": "auth",
    "llmhub.completion.v1": "gateway",
    "llmhub.embedding.v1": "gateway",
    "llmhub.model.v1": "router",
    "llmhub.provider.v1": "router",
    "llmhub.route.v1": "router",
    "llmhub.usage.v1": "billing",
}
"""The service behind each package's public methods."""


class ContractIncomplete(Exception):
    """A method without an access rule, or a public one that nobody serves: no edge is made for it."""


@dataclass(frozen=True, slots=True)
class PublicMethod:
    """A method that callers outside may reach."""

    service: str
    """Full name of the gRPC service."""
    name: str
    served_by: str
    rest: tuple[tuple[str, str], ...]
    """HTTP method and path template of every binding."""

    @property
    def path(self) -> str:
        """The gRPC path."""
        return f"/{self.service}/{self.name}"


def public_methods(descriptors: Path) -> list[PublicMethod]:
    """Read the methods that are not internal out of a descriptor set. Raises ContractIncomplete."""
    files = FileDescriptorSet.FromString(descriptors.read_bytes())
    return [method for file in files.file for method in _of_file(file)]


def _of_file(file: Any) -> Iterator[PublicMethod]:
    for service in file.service:
        for method in service.method:
            name = f"{file.package}.{service.name}"
            access = method.options.Extensions[access_pb2.access]
            rule = access.WhichOneof("rule")
            if rule is None:
                raise ContractIncomplete(f"{name}.{method.name} has no option (llmhub.types.v1.access)")
            if rule == "internal" and access.internal:
                continue
            if file.package not in SERVED_BY:
                raise ContractIncomplete(f"no service is known to serve the package {file.package}")
            yield PublicMethod(name, method.name, SERVED_BY[file.package], tuple(_bindings(method)))


def _bindings(method: Any) -> Iterator[tuple[str, str]]:
    if not method.options.HasExtension(annotations_pb2.http):
        return
    rule = method.options.Extensions[annotations_pb2.http]
    for each in (rule, *rule.additional_bindings):
        verb = each.WhichOneof("pattern")
        if verb is not None and verb != "custom":
            yield verb.upper(), getattr(each, verb)
