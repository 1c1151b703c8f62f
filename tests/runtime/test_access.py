"""Every method has a rule, and what a key holds decides alone."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2

from llmhub.auth.v1 import auth_service_pb2, key_service_pb2
from llmhub.types.v1 import access_pb2
from llmhub_test.v1 import echo_service_pb2
from services.runtime.access import (
    AccessMissing,
    AccessTable,
    Rule,
    holds,
    may_use_model,
    require,
)
from services.runtime.context import Principal
from services.runtime.errors import ScopeDenied

KEYS = key_service_pb2.DESCRIPTOR.services_by_name["KeyService"]
AUTH = auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"]
ECHO = echo_service_pb2.DESCRIPTOR.services_by_name["EchoService"]
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]


def test_rules_come_from_the_contract() -> None:
    table = AccessTable(KEYS, AUTH, HEALTH)
    assert table["/llmhub.auth.v1.KeyService/GetKey"] == Rule(scope=access_pb2.SCOPE_KEYS_MANAGE)
    assert table["/llmhub.auth.v1.AuthService/VerifyKey"] == Rule(internal=True)
    assert table["/grpc.health.v1.Health/Check"] == Rule(open=True)
    assert table.find("/llmhub.auth.v1.KeyService/Nothing") is None


def test_only_public_methods_have_a_route() -> None:
    public = AccessTable(KEYS, AUTH).public_methods()
    assert "/llmhub.auth.v1.KeyService/GetKey" in public
    assert not [name for name in public if "AuthService" in name]


def test_a_method_without_a_rule_is_refused() -> None:
    with pytest.raises(AccessMissing, match=r"EchoService\.Echo"):
        AccessTable(ECHO)


@pytest.mark.parametrize(
    "access",
    [
        access_pb2.Access(),
        access_pb2.Access(internal=False),
        access_pb2.Access(open=False),
        access_pb2.Access(scope=access_pb2.SCOPE_UNSPECIFIED),
    ],
)
def test_a_rule_that_says_nothing_is_none(access: access_pb2.Access) -> None:
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    file.message_type.add(name="M")
    method = file.service.add(name="S").method.add(name="Do", input_type=".t.M", output_type=".t.M")
    method.options.Extensions[access_pb2.access].CopyFrom(access)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    with pytest.raises(AccessMissing):
        AccessTable(pool.FindServiceByName("t.S"))


def test_the_administrator_holds_every_scope() -> None:
    admin = Principal("k", scopes=frozenset({access_pb2.SCOPE_ADMIN}))
    reader = Principal("k", scopes=frozenset({access_pb2.SCOPE_USAGE_READ}))
    for scope in access_pb2.Scope.values():
        assert holds(admin, scope)
        assert holds(reader, scope) == (scope == access_pb2.SCOPE_USAGE_READ)
    require(admin, access_pb2.SCOPE_KEYS_MANAGE)
    with pytest.raises(ScopeDenied) as caught:
        require(reader, access_pb2.SCOPE_KEYS_MANAGE)
    assert caught.value.metadata == {"scope": "KEYS_MANAGE"}


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        ((), "anything", True),
        (("openai/*",), "openai/gpt-4o", True),
        (("openai/*",), "azure/openai/gpt-4o", False),
        (("*/gpt-*", "fast"), "openai/gpt-4o", True),
        (("*/gpt-*", "fast"), "fast", True),
        (("*/gpt-*", "fast"), "faster", False),
        (("a.c",), "abc", False),
        (("[ab]",), "a", False),
        (("*",), "line\nbreak", True),
        (("*" * 60 + "b",), "a" * 200, False),
        # Each star could begin anywhere: a search that goes back never ends.
        (("*a" * 100 + "*b",), "openai/" + "a" * 240, False),
    ],
)
def test_patterns_match_whole_names(patterns: tuple[str, ...], model: str, allowed: bool) -> None:
    principal = Principal("k", models=patterns)
    assert may_use_model(principal, model) == allowed
