"""API keys made and ended as their owners do."""

from __future__ import annotations

import subprocess
from typing import Any, cast

import grpc

from llmhub.auth.v1.key_service_pb2 import CreateKeyRequest, CreateKeyResponse, RevokeKeyRequest
from llmhub.auth.v1.key_service_pb2_grpc import KeyServiceStub
from tests.support.mesh import ADMIN_KEY, PROGRAM, Mesh

_METADATA = (("authorization", f"Bearer {ADMIN_KEY}"),)


def create(channel: grpc.Channel, name: str) -> CreateKeyResponse:
    """Make a key with the ordinary rights."""
    stub: Any = KeyServiceStub(cast(Any, channel))
    made: CreateKeyResponse = stub.CreateKey(CreateKeyRequest(name=name), metadata=_METADATA, timeout=20)
    return made


def revoke(channel: grpc.Channel, key_id: str) -> None:
    """End a key through KeyService."""
    stub: Any = KeyServiceStub(cast(Any, channel))
    stub.RevokeKey(RevokeKeyRequest(key_id=key_id), metadata=_METADATA, timeout=20)


def revoke_by_command(mesh: Mesh, key_id: str) -> None:
    """End a key with `llmhub keys revoke`, beside the running mesh."""
    command = [
        str(PROGRAM),
        "keys",
        "revoke",
        key_id,
        "--config",
        str(mesh.config_file),
        "--data",
        str(mesh.data),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=mesh.folder)
