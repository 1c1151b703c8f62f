"""Restarts come at once at first, then ever later, then no more; a long run forgives."""

from services.mesh.backoff import Backoff


def test_pauses_double_to_a_limit_and_end() -> None:
    backoff = Backoff(first=1, longest=4, steady=10, most=4)
    assert [backoff.after(0.5) for _ in range(5)] == [1, 2, 4, 4, None]


def test_a_steady_run_starts_anew() -> None:
    backoff = Backoff(first=1, longest=4, steady=10, most=2)
    assert [backoff.after(seconds) for seconds in (0, 0, 11, 0, 0)] == [1, 2, 1, 2, None]
