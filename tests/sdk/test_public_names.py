"""The client offers the whole public contract and nothing of the mesh's inside."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

import llmhub_client
from llmhub.types.v1 import access_pb2
from llmhub_client import Client, LlmhubError, messages
from tests.sdk.fake_server import FakeServer

ROOT = Path(__file__).parents[2]
OFFERED = set(messages.__all__)


class Method(NamedTuple):
    """One RPC of the contract."""

    path: str
    input: Descriptor
    output: Descriptor
    public: bool


def contract() -> Iterator[Method]:
    files = FileDescriptorSet.FromString((ROOT / "gen/descriptors/llmhub.binpb").read_bytes()).file
    pool = DescriptorPool()
    for file in files:
        pool.Add(file)
    for file in files:
        for service in file.service:
            for method in service.method:
                takes = pool.FindMessageTypeByName(method.input_type[1:])
                gives = pool.FindMessageTypeByName(method.output_type[1:])
                public = not method.options.Extensions[access_pb2.access].internal
                yield Method(f"/{file.package}.{service.name}/{method.name}", takes, gives, public)


METHODS = list(contract())


def names(*roots: Descriptor) -> set[str]:
    """Names of llmhub's messages and enums in these messages."""
    found: set[Descriptor | EnumDescriptor] = set()
    waiting: list[Descriptor] = list(roots)
    while waiting:
        message = waiting.pop()
        if message not in found:
            found.add(message)
            found |= {field.enum_type for field in message.fields if field.enum_type}
            waiting += [field.message_type for field in message.fields if field.message_type]
    return {each.name for each in found if each.full_name.startswith("llmhub.") and not is_map_entry(each)}


def is_map_entry(each: Descriptor | EnumDescriptor) -> bool:
    return isinstance(each, Descriptor) and bool(each.GetOptions().map_entry)


PUBLIC = names(*(m.input for m in METHODS if m.public), *(m.output for m in METHODS if m.public))
INTERNAL = names(*(m.input for m in METHODS if not m.public), *(m.output for m in METHODS if not m.public))
WRAPPERS = {each.name for method in METHODS for each in (method.input, method.output)}


def test_every_public_thing_is_offered() -> None:
    assert len(PUBLIC) > 60
    assert not PUBLIC - WRAPPERS - OFFERED


def test_nothing_of_the_inside_is_offered() -> None:
    assert len(INTERNAL - PUBLIC) > 20
    assert not OFFERED & (INTERNAL - PUBLIC)
    # A rule of the contract for servers; it comes with its package and is in no call.
    assert {"Access"} == OFFERED - PUBLIC


def test_what_methods_take_and_give_is_offered() -> None:
    notes = [
        str(annotation)
        for _, method in inspect.getmembers(Client, inspect.isfunction)
        if not method.__name__.startswith("_")
        for annotation in inspect.get_annotations(method).values()
    ]
    used = {
        word.split(".")[-1] for note in notes for word in note.replace("]", "[").split("[") if "m." in word
    }
    assert len(used) > 15
    assert {name.split(" ")[0] for name in used} <= OFFERED


def test_every_name_is_there() -> None:
    assert len(set(messages.__all__)) == len(messages.__all__)
    for module in (messages, llmhub_client):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


async def test_every_public_method_can_be_called(fake: FakeServer) -> None:
    fake.script = [b""]
    async with Client(fake.url) as client:
        asked = messages.GenerateRequest(model="m")
        key = messages.Key()
        for call in (
            client.generate(asked),
            client.count_tokens(asked),
            client.cancel("id"),
            client.get_decision("id"),
            client.embed(messages.EmbedRequest()),
            client.get_model("m"),
            client.get_provider("p"),
            client.explain("m"),
            client.test_provider("p"),
            client.get_key("k"),
            client.create_key(messages.CreateKeyRequest()),
            client.update_key(key, ["name"]),
            client.rotate_key("k"),
            client.revoke_key("k"),
        ):
            await call
        for pages in (
            client.list_models(),
            client.list_providers(),
            client.list_usage(),
            client.aggregate_usage([]),
            client.list_keys(),
        ):
            assert [each async for each in pages] == []
        with pytest.raises(LlmhubError):
            await client.stream(asked).collect()
    assert {call.method for call in fake.calls} == {method.path for method in METHODS if method.public}


def test_it_imports_nothing_of_the_server() -> None:
    program = (
        "import sys, llmhub_client; "
        "print([n for n in sys.modules if n.partition('.')[0] in ('services', 'llmhub') or n == 'google.protobuf'])"
    )
    path = str(ROOT / "sdk" / "python")
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
