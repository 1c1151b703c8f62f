"""Typing errors in a key are found without asking the auth service."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.key_format import BASE62, checksum, join, key_id_of

KEY = join("live", "abcDEF012345", "s" * 43)


HEAD = KEY[: KEY.index("_", len("llmh_live_")) + 1]
"""Environment and id: with these a text promises to be of our form."""


def test_a_key_names_its_id() -> None:
    assert key_id_of(KEY) == "abcDEF012345"
    assert key_id_of("an operator's own key of 32 characters or more") is None


def test_the_checksum_is_crc32_in_base62() -> None:
    # 0xCBF43926 is the published check value of CRC-32.
    digits = [BASE62.index(digit) for digit in checksum("123456789")]
    assert sum(digit * 62**place for place, digit in enumerate(reversed(digits))) == 0xCBF43926


@given(st.integers(0, len(KEY) - 1), st.sampled_from(BASE62))
def test_one_wrong_character_is_refused(place: int, character: str) -> None:
    wrong = KEY[:place] + character + KEY[place + 1 :]
    if wrong.startswith(HEAD) and wrong != KEY:
        with pytest.raises(ValueError):
            key_id_of(wrong)


@pytest.mark.parametrize("own", ["llmh_" + "x" * 60, "llmh_test_bootstrap_" + "x" * 30])
def test_an_operators_own_key_may_begin_like_ours(own: str) -> None:
    assert key_id_of(own) is None


@pytest.mark.parametrize("junk", ["", "short", "x" * 31, "x" * 513, KEY[:-1], KEY + "0"])
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(ValueError):
        key_id_of(junk)
