from dataclasses import replace

import pytest

from services.auth.domain.api_key import (
    BOOTSTRAP_ID,
    ApiKey,
    Edit,
    Secret,
    admit,
    require_changeable,
    revoked,
    rotated,
)
from services.auth.domain.errors import TargetRevoked
from services.auth.domain.key import Peppers
from services.auth.domain.policy import OPERATOR, Grant
from services.runtime.errors import KeyExpired, KeyInvalid, KeyRevoked, Kind, OperationUnsupported

PEPPERS = Peppers({1: b"p" * 32})
FIRST, SECOND, THIRD = (PEPPERS.digest(text) for text in ("first", "second", "third"))
KEY = ApiKey("0123456789ab", "name", OPERATOR, created_at=0, secrets=(Secret(FIRST),))


def test_the_presented_secret_is_admitted() -> None:
    assert admit(KEY, [SECOND, FIRST], now=1) == Secret(FIRST)
    with pytest.raises(KeyInvalid):
        admit(KEY, [SECOND], now=1)


def test_a_key_ends_at_its_expiry() -> None:
    key = replace(KEY, grant=replace(OPERATOR, expires_at=100))
    admit(key, [FIRST], now=99)
    with pytest.raises(KeyExpired):
        admit(key, [FIRST], now=100)


def test_a_revoked_key_says_so_even_when_expired() -> None:
    key = revoked(replace(KEY, grant=replace(OPERATOR, expires_at=100)), now=50)
    with pytest.raises(KeyRevoked):
        admit(key, [FIRST], now=200)
    with pytest.raises(KeyInvalid):
        admit(key, [SECOND], now=200)


def test_revoking_twice_keeps_the_first_time() -> None:
    assert revoked(revoked(KEY, now=5), now=9).revoked_at == 5


def test_the_old_secret_lives_for_the_overlap_and_no_third_one() -> None:
    key = rotated(KEY, SECOND, old_valid_until=100)
    assert admit(key, [SECOND], now=10**15) == Secret(SECOND)
    assert admit(key, [FIRST], now=99) == Secret(FIRST, valid_until=100)
    with pytest.raises(KeyExpired):
        admit(key, [FIRST], now=100)
    key = rotated(key, THIRD, old_valid_until=100)
    assert [secret.digest for secret in key.secrets] == [THIRD, SECOND]
    with pytest.raises(KeyInvalid):
        admit(key, [FIRST], now=1)


def test_what_is_revoked_cannot_be_changed() -> None:
    with pytest.raises(TargetRevoked) as caught:
        rotated(revoked(KEY, now=1), SECOND, old_valid_until=0)
    assert (caught.value.kind, caught.value.reason) == (Kind.PRECONDITION, "KEY_REVOKED")


def test_the_bootstrap_key_is_set_by_configuration_alone() -> None:
    with pytest.raises(OperationUnsupported):
        require_changeable(replace(KEY, key_id=BOOTSTRAP_ID))


def test_an_edit_changes_what_it_names() -> None:
    key = replace(KEY, grant=Grant(frozenset({1}), ("a",), "test", 50))
    assert Edit().applied_to(key) == key
    assert Edit(name="new").applied_to(key) == replace(key, name="new")
    everything = Edit(
        name="new", scopes=frozenset({2}), models=(), sets_expiry=True, expires_at=None
    ).applied_to(key)
    assert everything.grant == Grant(frozenset({2}), (), "test", None)
