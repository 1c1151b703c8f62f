"""Where keys are found, and that a query loses them before it goes anywhere."""

from __future__ import annotations

import pytest

from services.gateway.http.keys import token_of, without_secrets
from services.runtime.errors import KeyMissing


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "Bearer K-1"}, ""),
        ({"authorization": "bearer  K-1 "}, ""),
        ({"x-api-key": "K-1"}, ""),
        ({"api-key": "K-1"}, ""),
        ({"x-goog-api-key": "K-1"}, ""),
        ({}, "key=K-1"),
        ({}, "alt=sse&key=K%2D1"),
        ({"authorization": "Basic abc", "x-goog-api-key": "K-1"}, "key=other"),
    ],
)
def test_the_key_is_taken_from_where_sdks_put_it(headers: dict[str, str], query: str) -> None:
    assert token_of(headers, query) == "K-1"


@pytest.mark.parametrize(
    ("headers", "query"),
    [({}, ""), ({"authorization": "Basic abc"}, "keys=a"), ({"x-api-key": ""}, "key="), ({}, "alt=key")],
)
def test_without_one_it_is_missing(headers: dict[str, str], query: str) -> None:
    with pytest.raises(KeyMissing) as missing:
        token_of(headers, query)
    assert "abc" not in missing.value.message


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", ""),
        ("key=s3cret", ""),
        ("alt=sse&key=s3cret&beta=true", "alt=sse&beta=true"),
        ("%6Bey=s3cret&KEY=s3cret&%24key=s3cret&a=%2F", "a=%2F"),
        ("access_token=s3cret&api-key=s3cret&token=s3cret&&b", "b"),
        ("key", ""),
    ],
)
def test_a_query_is_passed_on_without_secrets_and_else_to_the_byte(query: str, left: str) -> None:
    assert without_secrets(query) == left
