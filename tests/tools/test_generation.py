"""The generator sees what is missing, stale or changed, and completes the OpenAPI document."""

from pathlib import Path
from typing import Any

import yaml
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from tools.gen import differences, replace
from tools.openapi import complete


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_differences_are_named_and_then_mended(tmp_path: Path) -> None:
    fresh = write(tmp_path / "fresh", {"a/same.py": "1", "a/new.py": "1", "changed.py": "new"})
    present = write(tmp_path / "present", {"a/same.py": "1", "changed.py": "old", "b/old.py": "1"})
    assert list(differences(fresh, present)) == [
        "missing  a/new.py",
        "stale    b/old.py",
        "changed  changed.py",
    ]
    replace(fresh, present)
    assert list(differences(fresh, present)) == []
    assert (present / "changed.py").read_text() == "new"


def test_what_python_caches_is_no_difference(tmp_path: Path) -> None:
    fresh = write(tmp_path / "fresh", {"a.py": "1"})
    present = write(tmp_path / "present", {"a.py": "1", "__pycache__/a.pyc": "1"})
    assert list(differences(fresh, present)) == []


def descriptors() -> bytes:
    """One service: a deep path variable with a second binding, and a stream."""
    file = descriptor_pb2.FileDescriptorProto(name="x.proto", package="x")
    service = file.service.add(name="Shelf")
    get = service.method.add(name="Get", input_type="x.A", output_type="x.B")
    http: Any = annotations_pb2.http  # untyped in its package
    rule = get.options.Extensions[http]
    rule.get = "/api/things/{name=**}"
    rule.additional_bindings.add(get="/things/{name=**}")
    service.method.add(name="Watch", input_type="x.A", output_type="x.B", server_streaming=True)
    return descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()


def operation(name: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {"operationId": name, "responses": {"200": {"description": "OK", "content": content}}}


def test_the_document_gets_what_its_generator_leaves_out() -> None:
    paths = {
        "/things/**": {"get": operation("Shelf_Get")},
        "/api/things/**": {"get": operation("Shelf_Get")},
        "/watch": {"post": operation("Shelf_Watch")},
    }
    document = yaml.safe_load(complete(yaml.safe_dump({"paths": paths}), descriptors()))
    found = document["paths"]
    assert list(found) == ["/api/things/{name}", "/things/{name}", "/watch"]
    assert found["/api/things/{name}"]["get"]["operationId"] == "Shelf_Get"
    assert found["/things/{name}"]["get"]["operationId"] == "Shelf_Get_2"
    assert [p["name"] for p in found["/things/{name}"]["get"]["parameters"]] == ["name"]
    assert list(found["/watch"]["post"]["responses"]["200"]["content"]) == ["text/event-stream"]
