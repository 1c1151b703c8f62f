"""What boto3's own parts make of bytes and parameters: the second opinion on every request and answer."""

from __future__ import annotations

import base64
import functools
import importlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any


def _part(module: str, name: str) -> Any:
    """A part of botocore, which has no types."""
    return getattr(importlib.import_module(f"botocore.{module}"), name)


EventStreamError: type[Exception] = _part("exceptions", "EventStreamError")
_Loader, _ServiceModel = _part("loaders", "Loader"), _part("model", "ServiceModel")
_Validator, _create_parser = _part("validate", "ParamValidator"), _part("parsers", "create_parser")
_create_serializer = _part("serialize", "create_serializer")


@functools.cache
def service() -> Any:
    """The service as boto3 knows it."""
    return _ServiceModel(_Loader().load_service_model("bedrock-runtime", "service-2"))


def serialised(operation: str, model: str, body: Any) -> tuple[str, Any]:
    """Path and body that boto3 sends for these parameters; raises what boto3 raises for wrong ones."""
    shape = service().operation_model(operation)
    parameters = {**_parameters(body, shape.input_shape), "modelId": model}
    report = _Validator().validate(parameters, shape.input_shape)
    assert not report.has_errors(), report.generate_report()
    request = _create_serializer("rest-json").serialize_to_request(parameters, shape)
    return request["url_path"], json.loads(request["body"] or b"{}")


def accepted(operation: str, body: Any) -> None:
    """Assert what boto3 leaves to the service: lengths, patterns, words of enumerations, one member of a union."""
    _check(body, service().operation_model(operation).input_shape, operation)


def whole(operation: str, body: bytes) -> dict[str, Any]:
    """The answer as boto3 returns it."""
    return _parsed(operation, 200, {}, body)


def error(operation: str, status: int, headers: dict[str, str], body: bytes) -> tuple[str, str]:
    """Code and message of the exception that boto3 raises."""
    parsed = _parsed(operation, status, headers, body)
    return parsed["Error"]["Code"], parsed["Error"]["Message"]


def events(operation: str, pieces: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream as boto3 yields them; raises EventStreamError for an exception frame."""
    member = "stream" if operation == "ConverseStream" else "body"
    for event in _parsed(operation, 200, {}, _Body(pieces))[member]:
        ((name, value),) = event.items()
        yield name, value


class _Body:
    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def stream(self) -> Iterable[bytes]:
        return self._pieces

    def close(self) -> None:
        pass


def _parsed(operation: str, status: int, headers: dict[str, str], body: Any) -> dict[str, Any]:
    response = {
        "status_code": status,
        "headers": {name.lower(): value for name, value in headers.items()},
        "body": body,
        "context": {"operation_name": operation},
    }
    shape = service().operation_model(operation).output_shape
    parsed: dict[str, Any] = _create_parser("rest-json").parse(response, shape)
    return parsed


def _parameters(value: Any, shape: Any) -> Any:
    """JSON as boto3's parameters: blobs are bytes there."""
    match shape.type_name:
        case "structure" if getattr(shape, "is_document_type", False):
            return value
        case "structure":
            known = shape.members
            return {
                name: _parameters(each, known[name]) if name in known else each
                for name, each in value.items()
            }
        case "list":
            return [_parameters(each, shape.member) for each in value]
        case "blob":
            return base64.b64decode(value)
        case _:
            return value


def _check(value: Any, shape: Any, path: str) -> None:
    match shape.type_name:
        case "structure" if getattr(shape, "is_document_type", False):
            pass
        case "structure":
            assert not getattr(shape, "is_tagged_union", False) or len(value) == 1, path
            for name, each in value.items():
                _check(each, shape.members[name], f"{path}.{name}")
        case "list":
            for index, each in enumerate(value):
                _check(each, shape.member, f"{path}[{index}]")
        case "string":
            assert len(value) <= shape.metadata.get("max", len(value)), path
            assert not shape.enum or value in shape.enum, (path, value)
            pattern = shape.metadata.get("pattern")
            assert pattern is None or re.fullmatch(pattern, value), (path, value)
        case "integer" | "float":
            assert value <= shape.metadata.get("max", value), path
        case _:
            pass
