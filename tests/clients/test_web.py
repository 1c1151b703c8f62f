"""connect-web clients in Node and in a browser, through the edge's gRPC-Web filter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.clients.web import harness
from tests.support.exchanges import named, sse_events
from tests.support.faults import Cut, End, Gate, Send, Step, answer, events
from tests.support.mesh import ADMIN_KEY, Mesh
from tests.support.replay import Replay

IN_CI = bool(os.environ.get("CI"))
pytestmark = [
    pytest.mark.usefixtures("clean_wire"),
    pytest.mark.skipif(bool(harness.node_missing()) and not IN_CI, reason=harness.node_missing()),
]
needs_browser = pytest.mark.skipif(
    harness.browser() is None and not IN_CI, reason="needs Chromium: install the package chromium"
)


def task(mesh: Mesh, scenario: str, model: str = "", **more: Any) -> dict[str, Any]:
    return {"scenario": scenario, "baseUrl": mesh.base_url, "key": ADMIN_KEY, "model": model, **more}


def gated(replay: Replay, model: str) -> list[Gate]:
    """Have a recorded stream answered with a gate after each of its first two texts."""
    pieces = sse_events(named("openai/026").answer)
    gates = [Gate(), Gate()]
    early: list[Step] = [*(Send(piece) for piece in pieces[:3]), gates[0], Send(pieces[3]), gates[1]]
    replay.answer("openai", model, events([], *early, *(Send(piece) for piece in pieces[4:]), End()))
    return gates


def test_unary_in_node(mesh: Mesh, replay: Replay) -> None:
    exchange = named("openai/018")
    replay.answer("openai", exchange.model, exchange.program())
    with harness.node(task(mesh, "unary", f"openai/{exchange.model}")) as lines:
        got, end = lines.next(), lines.next()
    assert end == {"kind": "done"}
    assert got["text"].startswith("This is a test")
    assert (got["finish"], got["inputTokens"], got["outputTokens"]) == ("END", 12, 12)


def test_catalogue_in_node(mesh: Mesh) -> None:
    with harness.node(task(mesh, "models")) as lines:
        assert "brief-pair-0" in lines.next()["ids"]


def incremental(lines: harness.Lines, gates: list[Gate]) -> list[dict[str, Any]]:
    """Read a gated stream: what is before a gate must come while the gate is shut."""
    seen = [lines.next()]
    for gate in gates:
        assert gate.reached.wait(harness.SECONDS)
        while seen[-1]["kind"] != "text":
            seen.append(lines.next())
        gate.open()
        seen.append(lines.next())
    return seen + lines.rest()


def test_stream_in_node_is_incremental(mesh: Mesh, replay: Replay) -> None:
    gates = gated(replay, "web-stream")
    with harness.node(task(mesh, "stream", "openai/web-stream")) as lines:
        seen = incremental(lines, gates)
    assert [line["sequence"] for line in seen[:-1]] == sorted(line["sequence"] for line in seen[:-1])
    assert seen[-2] == {**seen[-2], "kind": "finished", "complete": True}
    assert seen[-1] == {"kind": "done"}


@needs_browser
def test_stream_in_a_browser_is_visible_as_it_grows(
    mesh: Mesh, replay: Replay, page_port: int, tmp_path: Path
) -> None:
    gates = gated(replay, "web-page")
    with harness.page(task(mesh, "stream", "openai/web-page"), page_port, tmp_path) as lines:
        seen = incremental(lines, gates)
    texts = [line for line in seen if line["kind"] == "text"]
    shown = ""
    for line in texts:
        shown += line["text"]
        assert " ".join(shown.split()) in " ".join(line["visible"].split())
    assert len(texts) > 2
    assert texts[0]["visible"] != texts[-1]["visible"]
    assert seen[-1]["kind"] == "done"


def test_error_details_in_node(mesh: Mesh, replay: Replay) -> None:
    refusal = {"error": {"message": "slow", "type": "requests", "code": None, "param": None}}
    replay.answer("openai", "web-429", answer(429, refusal, {"retry-after": "7"}))
    for scenario in ("unary", "stream"):
        with harness.node(task(mesh, scenario, "openai/web-429")) as lines:
            got = lines.rest()[-1]
        assert got["code"] == "ResourceExhausted"
        assert got["reason"] == "UPSTREAM_RATE_LIMITED"
        assert got["domain"] == "llmhub"
        assert got["retrySeconds"] == 7
        assert got["httpStatus"] == 429


def test_a_broken_stream_is_an_error_in_node(mesh: Mesh, replay: Replay) -> None:
    pieces = sse_events(named("openai/026").answer)
    replay.answer("openai", "web-cut", events(pieces[:5], Cut()))
    with harness.node(task(mesh, "stream", "openai/web-cut")) as lines:
        seen = lines.rest()
    assert seen[-1]["kind"] == "error"
    assert (seen[-1]["code"], seen[-1]["reason"]) == ("Unavailable", "STREAM_INTERRUPTED")
    assert next(line for line in seen if line["kind"] == "finished")["complete"] is False


def test_abort_and_deadline_reach_the_provider(mesh: Mesh, replay: Replay) -> None:
    for scenario, model, code, more in (
        ("abort", "web-abort", "Canceled", {}),
        ("stream", "web-late", "DeadlineExceeded", {"timeoutMs": 600}),
    ):
        pieces = sse_events(named("openai/026").answer)
        replay.answer("openai", model, events(pieces[:5], Gate()))
        with harness.node(task(mesh, scenario, f"openai/{model}", **more)) as lines:
            assert lines.rest()[-1]["code"] == code
        replay.journal.wait(lambda each, model=model: each.model == model and each.left_at is not None)  # type: ignore[misc]
