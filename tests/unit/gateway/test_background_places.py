"""No key fills the background, and a place that is given back can be taken again."""

from __future__ import annotations

import pytest

from services.gateway.http.responses.background import Places
from services.runtime.errors import Overloaded


def test_one_key_has_a_quarter() -> None:
    places = Places(8)
    for _ in range(2):
        places.take("a")
    with pytest.raises(Overloaded, match="of this key"):
        places.take("a")
    places.take("b")
    places.give_back("a")
    places.take("a")


def test_all_keys_together_have_an_end() -> None:
    places = Places(4)
    for key in "abcd":
        places.take(key)
    with pytest.raises(Overloaded, match="4 responses"):
        places.take("e")
    places.give_back("a")
    places.take("e")


def test_the_smallest_background_has_one_place() -> None:
    Places(1).take("a")
