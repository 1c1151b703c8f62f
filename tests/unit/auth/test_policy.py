import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmhub.types.v1 import access_pb2
from services.auth.domain.policy import (
    OPERATOR,
    Grant,
    Scope,
    require_may_change,
    require_may_end,
    require_may_give,
)
from services.runtime.errors import ScopeDenied
from services.runtime.patterns import covers

MANAGER = Grant(frozenset({Scope.INFERENCE, Scope.KEYS_MANAGE}))
INFERENCE = Grant(frozenset({Scope.INFERENCE}))

patterns = st.text("ab*", max_size=5)


def test_scopes_are_those_of_the_contract() -> None:
    contract = {name.removeprefix("SCOPE_"): number for name, number in access_pb2.Scope.items() if number}
    assert {scope.name: scope.value for scope in Scope} == contract


@pytest.mark.parametrize("scope", Scope)
def test_only_held_scopes_can_be_given(scope: Scope) -> None:
    wanted = Grant(frozenset({int(scope)}))
    require_may_give(OPERATOR, wanted)
    if scope in MANAGER.scopes:
        require_may_give(MANAGER, wanted)
    else:
        with pytest.raises(ScopeDenied) as caught:
            require_may_give(MANAGER, wanted)
        assert caught.value.metadata == {"scope": scope.name}


@pytest.mark.parametrize(
    ("own", "wanted", "allowed"),
    [
        ((), (), True),
        ((), ("openai/*",), True),
        (("openai/*",), (), False),
        (("openai/*",), ("openai/gpt-4o", "openai/gpt-*"), True),
        (("openai/*",), ("openai/gpt-4o", "anthropic/x"), False),
        (("openai/*",), ("*",), False),
        (("*",), ("*/x",), True),
        (("openai/*", "fast"), ("fast",), True),
        (("openai/*",), ("openai/*", "openai*"), False),
    ],
)
def test_models_given_are_within_the_own(
    own: tuple[str, ...], wanted: tuple[str, ...], allowed: bool
) -> None:
    caller, target = Grant(OPERATOR.scopes, own), Grant(OPERATOR.scopes, wanted)
    if allowed:
        require_may_give(caller, target)
    else:
        with pytest.raises(ScopeDenied):
            require_may_give(caller, target)


def test_a_key_gives_no_longer_life_than_its_own() -> None:
    caller = Grant(OPERATOR.scopes, expires_at=1000)
    require_may_give(caller, Grant(OPERATOR.scopes, expires_at=1000))
    for longer in (1001, None):
        with pytest.raises(ScopeDenied):
            require_may_give(caller, Grant(OPERATOR.scopes, expires_at=longer))


def test_a_test_key_gives_no_live_key() -> None:
    require_may_give(Grant(OPERATOR.scopes), Grant(OPERATOR.scopes, environment="test"))
    caller = Grant(OPERATOR.scopes, environment="test")
    require_may_give(caller, caller)
    with pytest.raises(ScopeDenied):
        require_may_give(caller, OPERATOR)
    with pytest.raises(ScopeDenied):
        require_may_change(caller, OPERATOR, OPERATOR)


def test_a_key_with_more_rights_can_be_neither_changed_nor_ended() -> None:
    with pytest.raises(ScopeDenied):
        require_may_end(MANAGER, OPERATOR)
    with pytest.raises(ScopeDenied):
        require_may_change(MANAGER, OPERATOR, INFERENCE)


def test_a_key_cannot_widen_itself() -> None:
    own = Grant(MANAGER.scopes, ("a/*",), expires_at=1000)
    require_may_change(own, own, Grant(INFERENCE.scopes, ("a/b",), expires_at=900))
    for wider in (
        Grant(own.scopes | {Scope.USAGE_READ}, own.models, expires_at=1000),
        Grant(own.scopes, ("a/*", "b/*"), expires_at=1000),
        Grant(own.scopes, (), expires_at=1000),
        Grant(own.scopes, own.models, expires_at=1001),
        Grant(own.scopes, own.models, expires_at=None),
    ):
        with pytest.raises(ScopeDenied):
            require_may_change(own, own, wider)


def test_what_a_key_has_already_may_stay_and_shrink() -> None:
    caller = Grant(MANAGER.scopes, ("a/*",), expires_at=1000)
    target = Grant(INFERENCE.scopes, ("b/*",))
    require_may_change(caller, target, target)
    require_may_change(caller, target, Grant(INFERENCE.scopes, ("b/c", "a/d"), expires_at=5000))
    require_may_change(caller, INFERENCE, Grant(INFERENCE.scopes, ("c/*",)))


def words(pattern: str) -> set[str]:
    """Texts of a pattern, its stars replaced by every short text over three letters."""
    fills = ["", "a", "b", "c", "ab", "ba", "cc"]
    parts = pattern.split("*")
    return {
        parts[0] + "".join(fill + part for fill, part in zip(chosen, parts[1:], strict=True))
        for chosen in itertools.product(fills, repeat=len(parts) - 1)
    }


@given(patterns, patterns)
def test_covers_means_every_text_of_the_other(pattern: str, other: str) -> None:
    # The letter c is in no pattern: if every text over it is matched, a star matched it.
    assert covers(pattern, other) == all(covers(pattern, word) for word in words(other))


@given(st.text("ab", max_size=6), st.lists(st.text("ab", max_size=2), min_size=1, max_size=4))
def test_covers_matches_names_like_stars_do(name: str, parts: list[str]) -> None:
    def matches(rest: str, parts: list[str]) -> bool:
        if len(parts) == 1:
            return rest.endswith(parts[0])
        return any(
            rest[at:].startswith(parts[0]) and matches(rest[at + len(parts[0]) :], parts[1:])
            for at in range(len(rest) + 1)
        )

    expected = (
        name == parts[0]
        if len(parts) == 1
        else (name.startswith(parts[0]) and matches(name[len(parts[0]) :], parts[1:]))
    )
    assert covers("*".join(parts), name) == expected


def test_many_stars_take_no_time() -> None:
    started = time.process_time()
    assert not covers("*a" * 128 + "b", "a" * 256)
    assert time.process_time() - started < 0.5
