"""What nobody allowed to be seen is not in the logs, wherever it came from."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import grpc
import grpc.aio
import pytest

from services.runtime import context, log
from services.runtime.errors import UpstreamDetail, UpstreamFailed, Violation

SECRET = "canary-7f3a9c"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure("DEBUG", stream, console=False)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def failure() -> UpstreamFailed:
    error = UpstreamFailed(
        SECRET,
        violations=(Violation(SECRET, SECRET),),
        upstream=UpstreamDetail(message=SECRET, body=SECRET.encode(), headers={"authorization": SECRET}),
        model=SECRET,
    )
    error.__cause__ = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(("x", SECRET)), grpc.aio.Metadata(), SECRET, SECRET
    )
    error.__cause__.__cause__ = OSError(2, SECRET, SECRET)
    return error


def test_a_secret_in_any_field_stays_hidden(stream: io.StringIO) -> None:
    logger = log.get_logger("services.test")
    nested = {"provider": {"authorization": SECRET}, "status": [SECRET.encode()]}
    logger.warning("fields", authorization=SECRET, _private=SECRET, body=SECRET.encode(), n=5, **nested)
    try:
        raise failure()
    except UpstreamFailed:
        logger.exception("failed", headers={"x-api-key": SECRET}, failure=failure(), kind="x")
    logger.error("bound elsewhere", exc_info=failure(), stack_info=True)
    assert SECRET not in stream.getvalue()
    fields, failed, _ = lines(stream)
    assert fields["authorization"] == f"<str {len(SECRET)}>"
    assert fields["n"] == "<int>"
    assert failed["headers"] == "<dict 1>"
    types = [entry["type"] for entry in failed["exception"]]
    assert types == [
        "services.runtime.errors.UpstreamFailed",
        "grpc.aio.AioRpcError",
        "FileNotFoundError",
    ] or (types[0].endswith("UpstreamFailed") and types[2] == "FileNotFoundError")
    assert failed["exception"][0]["reason"] == "UPSTREAM_FAILED"
    assert failed["exception"][1]["code"] == "UNAVAILABLE"
    assert failed["exception"][2]["errno"] == 2
    assert "test_log.py" in failed["exception"][0]["at"][0]


@pytest.mark.parametrize("name", ["asyncio", "grpc._cython.cygrpc", "aiohttp.client", "uvicorn.error", "x"])
def test_a_secret_in_a_library_s_record_stays_hidden(stream: io.StringIO, name: str) -> None:
    logger = logging.getLogger(name)
    logger.error("to %s: %d of %r", SECRET, 5, {"a": SECRET}, extra={"more": SECRET})
    logger.error("from %(who)s", {"who": SECRET})
    logger.error("broken %d", Decimal(5))
    prebuilt = f"first line\n{SECRET}"
    logger.error(prebuilt, exc_info=failure())
    assert SECRET not in stream.getvalue()
    assert [line["event"] for line in lines(stream)] == [
        f"to <str {len(SECRET)}>: 5 of '<dict 1>'",
        f"from <str {len(SECRET)}>",
        "broken %d",
        "first line",
    ]
    assert {line["logger"] for line in lines(stream)} == {name}


async def test_an_error_nobody_fetched_is_logged_without_its_text(stream: io.StringIO) -> None:
    async def fail() -> None:
        raise ValueError(SECRET)

    loop = asyncio.get_running_loop()
    task = loop.create_task(fail())
    await asyncio.wait((task,))
    loop.call_exception_handler({"message": "lost", "future": task, "exception": task.exception()})
    assert SECRET not in stream.getvalue()
    assert lines(stream)[0]["exception"][0]["type"] == "ValueError"


@pytest.mark.parametrize(
    "text",
    [
        "llmh_live_abcDEF012345_canary-7f3a9c",
        "Bearer canary-7f3a9c",
        "sk-proj-canary-7f3a9c-0123456789",
        "https://user:canary-7f3a9c@host/x",
        "https://host/x?key=canary-7f3a9c&a=b",
    ],
)
def test_what_looks_like_a_credential_is_hidden_even_in_a_shown_field(stream: io.StringIO, text: str) -> None:
    log.get_logger("services.test").info("x", model=text, url=[text], service={"address": text})
    assert SECRET not in stream.getvalue()


def test_request_and_key_are_added(stream: io.StringIO) -> None:
    tokens = context.request_id.set("r-1"), context.principal.set(context.Principal("k-1"))
    try:
        log.get_logger("services.test").info("one", count=3, outcome="ok")
        logging.getLogger("x").warning("two")
    finally:
        context.request_id.reset(tokens[0])
        context.principal.reset(tokens[1])
    one, two = lines(stream)
    assert (one["request_id"], one["key_id"], one["count"], one["level"]) == ("r-1", "k-1", 3, "info")
    assert (two["request_id"], two["key_id"], two["level"]) == ("r-1", "k-1", "warning")
    assert one["timestamp"].endswith("Z")


def test_a_terminal_gets_lines_for_people(stream: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    log.configure("INFO", terminal)
    log.get_logger("services.test").info("started", port=8080, api_key=SECRET)
    log.get_logger("services.test").debug("quiet")
    assert "started" in terminal.getvalue()
    assert "8080" in terminal.getvalue()
    assert SECRET not in terminal.getvalue()
    assert "quiet" not in terminal.getvalue()
