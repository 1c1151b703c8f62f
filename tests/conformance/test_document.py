"""The document says what the tests hold, and every recording is accounted for."""

import pytest

from tests.conformance import document
from tests.conformance.claims import COLUMNS
from tests.conformance.table import Known
from tools.conformance import DOCUMENT


def test_the_document_is_the_one_that_is_made() -> None:
    assert DOCUMENT.read_text() == document.render(), "run make conformance and commit the result"


def test_a_recording_without_test_or_reason_is_seen() -> None:
    stray = Known("new/001", "new", "openai.chat", (), asked=True, members=frozenset(), status=200)
    tally = document.Tally([stray], {name: set() for name in COLUMNS})
    with pytest.raises(document.Unexplained):
        tally.row(tally.known)
