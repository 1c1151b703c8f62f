"""What the decision record says of a call."""

from __future__ import annotations

from contextlib import aclosing

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from llmhub.types.v1.error_pb2 import ErrorReason
from llmhub.types.v1.route_pb2 import Decision
from services.gateway.domain.payload import Generate
from services.gateway.domain.trace import Trace
from services.runtime.errors import UpstreamOverloaded
from tests.support.fakes_gateway import ask, end, opening, pipeline, text


async def test_every_step_of_every_attempt_has_its_time() -> None:
    made, _, _ = pipeline({"a": [UpstreamOverloaded("busy")], "b": [opening(), text("hi"), end()]})
    question = ask(Generate(GenerateRequest(), stream=True))
    async with aclosing(made.run(question)) as pieces:
        async for _ in pieces:
            pass
    steps = question.decision.steps
    assert [each.step for each in steps] == [
        "admit", "plan", "intent", "finish", "intent", "attempt", "finish",
    ]  # fmt: skip
    assert all(each.duration.ToNanoseconds() > 0 for each in steps)
    first, second = question.decision.attempts
    assert first.error.reason == ErrorReason.ERROR_REASON_UPSTREAM_OVERLOADED
    assert not second.HasField("error")
    assert question.trace.served_by() == "b/x"


def test_a_step_is_counted_from_the_one_before() -> None:
    trace = Trace(began=10.0, planned=Decision(strategy="failover"), steps=[("admit", 10.5), ("plan", 12.5)])
    decision = trace.decision("r", "m")
    assert (decision.request_id, decision.requested_model, decision.strategy) == ("r", "m", "failover")
    assert [each.duration.ToMilliseconds() for each in decision.steps] == [500, 2000]
