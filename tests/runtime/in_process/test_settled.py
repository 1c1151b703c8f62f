"""Interceptors that promise to do nothing for a method but hand on its handler are asked about it once."""

from typing import Any

import grpc
import pytest

from llmhub.completion.v1 import completion_service_pb2 as completion
from llmhub.route.v1 import route_service_pb2 as route
from llmhub_test.v1 import echo_service_pb2 as pb
from llmhub_test.v1 import echo_service_pb2_grpc as stubs
from services.runtime.access import AccessTable
from services.runtime.in_process import InProcessServer
from services.runtime.interceptors.identity import IdentityInterceptor
from tests.runtime.in_process.harness import Connect, Interceptors

ECHO = "/llmhub_test.v1.EchoService/Echo"


@pytest.fixture
def transport() -> str:
    return "in_process"


class Asked(grpc.aio.ServerInterceptor):
    """Counts its questions and promises what it is told to promise."""

    def __init__(self, *, settled: bool) -> None:
        self.count = 0
        self._settled = settled

    def settles(self, method: str) -> bool:
        assert method == ECHO
        return self._settled

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self.count += 1
        return await continuation(handler_call_details)


class Silent(grpc.aio.ServerInterceptor):
    """Promises nothing."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return await continuation(handler_call_details)


async def echo(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
    return pb.EchoResponse(text=request.text)


@pytest.mark.parametrize(
    ("others", "questions"),
    [([], 1), ([Asked(settled=True)], 1), ([Asked(settled=False)], 3), ([Silent()], 3)],
    ids=["alone", "with another", "with one that is not settled", "with one that says nothing"],
)
async def test_all_must_promise_it(
    connect: Connect, others: list[grpc.aio.ServerInterceptor], questions: int
) -> None:
    asked = Asked(settled=True)
    stub = (await connect(Interceptors((asked, *others)), Echo=echo)).stub
    for word in ("a", "b", "c"):
        assert (await stub.Echo(pb.EchoRequest(text=word))).text == word
    assert asked.count == questions


async def test_a_handler_registered_later_is_asked_about_anew() -> None:
    async def second(request: pb.EchoRequest, context: Any) -> pb.EchoResponse:
        return pb.EchoResponse(text="second")

    server = InProcessServer((Asked(settled=True),))
    stub = stubs.EchoServiceStub(server.channel())
    for handler, answer in ((echo, ""), (second, "second")):
        handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(handler)}
        server.add_registered_method_handlers("llmhub_test.v1.EchoService", handlers)
        assert (await stub.Echo(pb.EchoRequest())).text == answer
    await server.stop(None)


def test_a_method_that_needs_a_key_is_never_settled() -> None:
    class Nobody:
        async def authenticate(self, token: str) -> Any:
            raise AssertionError

    table = AccessTable(
        completion.DESCRIPTOR.services_by_name["CompletionService"],
        route.DESCRIPTOR.services_by_name["RouteService"],
    )
    inside, outside = (IdentityInterceptor(table, Nobody(), public=public) for public in (False, True))
    plan, generate = "/llmhub.route.v1.RouteService/Plan", "/llmhub.completion.v1.CompletionService/Generate"
    assert inside.settles(plan)
    assert not inside.settles(generate)
    assert not outside.settles(plan)
    assert not inside.settles("/llmhub.route.v1.RouteService/Unknown")
