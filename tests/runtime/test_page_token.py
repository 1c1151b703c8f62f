"""A page token opens with the query it was given for, and with nothing else."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime import page_token
from services.runtime.errors import PageTokenInvalid

PAYLOADS = st.dictionaries(
    st.text(max_size=20), st.text(max_size=50) | st.integers(-(2**63), 2**63), max_size=5
)


@pytest.fixture
def key() -> Iterator[None]:
    before = page_token._key
    yield
    page_token._key = before


@given(PAYLOADS, st.binary(max_size=40))
def test_a_token_gives_its_payload_back(payload: dict[str, str | int], query: bytes) -> None:
    token = page_token.encode(payload, query)
    assert page_token.decode(token, query) == payload
    assert token.replace("-", "").replace("_", "").isalnum()


@given(PAYLOADS, st.binary(max_size=40), st.binary(max_size=40))
def test_another_query_is_refused(payload: dict[str, str | int], query: bytes, other: bytes) -> None:
    if query != other:
        with pytest.raises(PageTokenInvalid):
            page_token.decode(page_token.encode(payload, query), other)


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = page_token.encode({"at": 5, "id": "abc"}, b"q")
    place = data.draw(st.integers(0, len(token) - 2))
    changed = data.draw(st.sampled_from("AZaz09-_").filter(lambda character: character != token[place]))
    with pytest.raises(PageTokenInvalid):
        page_token.decode(token[:place] + changed + token[place + 1 :], b"q")


@given(st.text(max_size=200))
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(PageTokenInvalid):
        page_token.decode(junk, b"q")


def test_every_process_of_an_installation_reads_the_tokens_of_the_others(key: None) -> None:
    page_token.use_key(b"k" * 32)
    token = page_token.encode({"at": 1}, b"q")
    page_token.use_key(b"x" * 32)
    with pytest.raises(PageTokenInvalid):
        page_token.decode(token, b"q")
    page_token.use_key(b"k" * 32)
    assert page_token.decode(token, b"q") == {"at": 1}
    with pytest.raises(ValueError):
        page_token.use_key(b"short")
