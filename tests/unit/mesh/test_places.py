"""The locks of one data directory: who may run beside whom."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.mesh.places import EVERYTHING, Places, PlacesUnusable, locked, locked_parts


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path, tmp_path)


def test_parts_run_beside_each_other_but_not_beside_everything(places: Places) -> None:
    with locked_parts(places, {"auth"}), locked_parts(places, {"billing", "router"}):
        for taken in ({"auth"}, {"gateway", "router"}):
            with pytest.raises(PlacesUnusable, match=f"process {os.getpid()}"), locked_parts(places, taken):
                pass
        with pytest.raises(PlacesUnusable, match=f"process {os.getpid()}"), locked(places, EVERYTHING):
            pass
        with locked_parts(places, {"gateway"}):
            pass
    with locked(places, EVERYTHING):
        with pytest.raises(PlacesUnusable, match=f"process {os.getpid()}"), locked_parts(places, {"gateway"}):
            pass
        # What `up` itself starts has a lock of its own only.
        with locked(places, "worker-0"):
            pass


def test_a_part_that_is_refused_keeps_nothing(places: Places) -> None:
    with (
        locked_parts(places, {"router"}),
        pytest.raises(PlacesUnusable),
        locked_parts(places, {"auth", "router"}),
    ):
        pass
    with locked(places, EVERYTHING), locked(places, "auth"):
        pass


def test_a_holder_that_has_ended_is_not_named(places: Places) -> None:
    (places.run / f"{EVERYTHING}.lock").write_text("1")
    with locked_parts(places, {"auth"}), pytest.raises(PlacesUnusable) as refused, locked(places, EVERYTHING):
        pass
    assert f"(process {os.getpid()})" in str(refused.value)
