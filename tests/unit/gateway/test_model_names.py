"""Names of models are the caller's: they may not break headers, nor calls."""

import msgspec
import pytest

from services.gateway.http.question import Asked, in_body
from services.gateway.servicers.completion import header_text
from services.runtime.errors import RequestInvalid


@pytest.mark.parametrize("model", ["", "p/x\r\nset-cookie: a", "p/x\0", "p/x\ty", "p/" + "x" * 255])
def test_a_name_that_no_header_can_carry_is_refused_by_name(model: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        in_body(Asked(msgspec.json.encode({"model": model})))
    assert [violation.field for violation in refused.value.violations] == ["model"]


@pytest.mark.parametrize("model", ["p/x", "p/" + "x" * 254, "p/ft:a:b%20c", "p/modèle-😀"])
def test_other_names_are_taken_as_they_are(model: str) -> None:
    assert in_body(Asked(msgspec.json.encode({"model": model}))).model == model


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("p/x%20y", "p/x%20y"),
        ("p/é😀", "p/%C3%A9%F0%9F%98%80"),
        ("p/x\r\nset-cookie: a", "p/x%0D%0Aset-cookie: a"),
    ],
)
def test_a_name_stands_in_a_header_as_printable_ascii(text: str, header: str) -> None:
    assert header_text(text) == header


def test_a_body_of_endless_depth_is_the_callers_fault() -> None:
    depth = 100_000
    with pytest.raises(RequestInvalid, match="nested"):
        in_body(Asked(b'{"model":"p/x","tools":' + b"[" * depth + b"]" * depth + b"}"))
