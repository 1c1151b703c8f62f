import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.domain.key import ID_RANDOMNESS, SECRET_RANDOMNESS, Digest, NewKey, Peppers, make
from services.runtime.key_format import BASE62, key_id_of

randomness = st.binary(min_size=SECRET_RANDOMNESS, max_size=SECRET_RANDOMNESS)
environments = st.sampled_from(["live", "test"])
keys = st.builds(lambda env, a, b: make(env, a[:ID_RANDOMNESS], b), environments, randomness, randomness)
letters = st.characters(codec="utf-8") | st.sampled_from(BASE62 + "_")


@given(environments, randomness, randomness)
def test_a_made_key_reads_back(environment: str, first: bytes, second: bytes) -> None:
    key = make(environment, first[:ID_RANDOMNESS], second)
    prefix, env, key_id, secret, checksum = key.text.split("_")
    assert (prefix, env, key_id) == ("llmh", environment, key.key_id)
    assert (len(key_id), len(secret), len(checksum)) == (12, 43, 6)
    assert key_id_of(key.text) == key.key_id


def passes_for(text: str) -> str | None:
    """The id of a key of ours; None for any other text."""
    try:
        return key_id_of(text)
    except ValueError:
        return None


@given(keys, st.data())
def test_any_changed_character_is_seen(key: NewKey, data: st.DataObject) -> None:
    text = key.text
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(letters.filter(lambda letter: letter != text[place]))
    changed = text[:place] + letter + text[place + 1 :]
    head = len(text) - 50  # where the secret begins; the underscore before it belongs to the head
    if place < head:
        assert passes_for(changed) is None  # an operator's own key could look like this
    else:
        with pytest.raises(ValueError, match="mistyped"):
            key_id_of(changed)


@given(keys, st.data())
def test_a_lost_or_doubled_character_is_seen(key: NewKey, data: st.DataObject) -> None:
    text = key.text
    place = data.draw(st.integers(len(text) - 50, len(text) - 1))
    for changed in (text[:place] + text[place + 1 :], text[:place] + text[place] + text[place:]):
        with pytest.raises(ValueError, match="mistyped"):
            key_id_of(changed)


@given(randomness, randomness)
def test_all_randomness_of_a_secret_is_in_its_text(first: bytes, second: bytes) -> None:
    same_text = make("live", b"i" * 16, first).text == make("live", b"i" * 16, second).text
    assert same_text == (first == second)


def test_rotation_keeps_the_id() -> None:
    assert key_id_of(make("live", b"x" * 16, b"y" * 32, key_id="0123456789ab").text) == "0123456789ab"


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match="randomness"):
        make("live", b"x" * 16, b"y" * 31)


def test_a_digest_is_hmac_sha_256_of_the_whole_text_under_the_newest_pepper() -> None:
    peppers = Peppers({1: b"old" * 11, 3: b"new" * 11})
    assert peppers.digest("a key") == Digest(3, hmac.new(b"new" * 11, b"a key", hashlib.sha256).digest())
    assert [digest.pepper_version for digest in peppers.digests("a key")] == [3, 1]


def test_a_digest_matches_only_its_own_version() -> None:
    digest = Peppers({1: b"p" * 32}).digest("a key")
    assert digest.matches(Peppers({1: b"p" * 32}).digest("a key"))
    assert not digest.matches(Digest(2, digest.value))
    assert not digest.matches(Peppers({1: b"p" * 32}).digest("b key"))


def test_representations_hide_secrets() -> None:
    key = make("live", b"x" * 16, b"y" * 32)
    peppers = Peppers({1: b"visible-pepper"})
    shown = repr(key) + repr(peppers) + repr(peppers.digest(key.text))
    assert key.text not in shown
    assert "visible-pepper" not in shown
    assert repr(peppers.digest(key.text).value) not in shown
