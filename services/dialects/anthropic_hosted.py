"""Anthropic's Messages bodies as the clouds that host Claude want them: Bedrock's InvokeModel, Vertex's rawPredict.

The path names the model there, and the body the cloud's version of the API. Every other member keeps its bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from services.dialects.members import decode_json, encode_json
from services.dialects.raw_json import raw_members
from services.runtime.errors import RequestInvalid, Violation

BEDROCK_VERSION: Final = "bedrock-2023-05-31"
VERTEX_VERSION: Final = "vertex-2023-10-16"

_VERSION: Final = "anthropic_version"
_BETA: Final = "anthropic_beta"
_BETA_HEADER: Final = "anthropic-beta"


def betas_of(headers: Mapping[str, str]) -> list[str]:
    """The betas that a request's header names, which Bedrock wants in the body."""
    listed = next((value for name, value in headers.items() if name.lower() == _BETA_HEADER), "")
    return [beta for each in listed.split(",") if (beta := each.strip())]


def bedrock_body(body: bytes, betas: Sequence[str] = ()) -> bytes:
    """The body of a Messages request for InvokeModel; raise RequestInvalid for what is no JSON object."""
    members = _members(body)
    for name in ("model", "stream"):
        members.pop(name, None)
    members.setdefault(_VERSION, _raw(BEDROCK_VERSION))
    if betas:
        named = decode_json(members[_BETA]) if _BETA in members else []
        mine = named if isinstance(named, list) else []
        members[_BETA] = _raw([*mine, *(beta for beta in betas if beta not in mine)])
    return encode_json(members)


def vertex_body(body: bytes) -> bytes:
    """The body of a Messages request for rawPredict and streamRawPredict, which wants `stream` in it."""
    members = _members(body)
    members.pop("model", None)
    members.setdefault(_VERSION, _raw(VERTEX_VERSION))
    return encode_json(members)


def vertex_count_body(body: bytes) -> bytes:
    """The body of a count_tokens request, whose path names no model."""
    members = _members(body)
    members.setdefault(_VERSION, _raw(VERTEX_VERSION))
    return encode_json(members)


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return raw_members(body)
    except ValueError as error:
        message = f"must be a JSON object: {error}"
        raise RequestInvalid(f"the body {message}", violations=(Violation("", message),)) from None


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(encode_json(value))
